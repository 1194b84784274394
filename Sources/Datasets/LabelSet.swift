public import Batches
import Diagnostics
import JSONText

/// What a text's label can be: one of some names, or a number.
public struct LabelSet: Sendable, Hashable {
    /// What a model that tells them learns.
    public let objective: Objective
    /// The name of each class by its number; empty for regression.
    public let names: [String]
    private let numbers: [ByteString: Int32]
    /// The classes whose names are whole numbers, or that have none but their own number, by those.
    private let wholeNumbers: [Int: Int32]

    /// Classes in the order of their numbers.
    public init(names: [String]) {
        objective = .classification(labels: names.count)
        self.names = names
        numbers = Dictionary(zip(names.map(ByteString.init), 0...), uniquingKeysWith: { first, _ in first })
        var whole: [Int: Int32] = [:]
        let areUnnamed = names == Self.placeholders(names.count)
        for (number, name) in zip(Int32(0)..., names) {
            guard let value = areUnnamed ? Int(number) : Self.wholeNumber(name), whole[value] == nil else { continue }
            whole[value] = number
        }
        wholeNumbers = whole
    }

    private init() {
        objective = .regression
        names = []
        numbers = [:]
        wholeNumbers = [:]
    }

    public static let regression = LabelSet()

    public var isRegression: Bool { objective == .regression }

    /// What `problem_type` can be, as in `transformers`.
    static let problemTypes = (classification: "single_label_classification", regression: "regression")

    /// The name that the kind of the labels has as `problem_type`.
    public var problemType: String { isRegression ? Self.problemTypes.regression : Self.problemTypes.classification }

    /// `LABEL_0`, `LABEL_1` and so on, as `transformers` calls classes without names.
    public static func unnamed(_ count: Int) -> LabelSet { LabelSet(names: placeholders(count)) }

    private static func placeholders(_ count: Int) -> [String] { (0..<count).map { "LABEL_\($0)" } }

    /// Whether the names are those that `transformers` gives to classes without names.
    public var isUnnamed: Bool { self == .unnamed(names.count) }

    /// The number of the class `name`: a whole number may be written otherwise than in the names (1.0 for 1), and is the
    /// class's own number where there are no names.
    public func number(of name: String) -> Int32? {
        numbers[ByteString(name)] ?? Self.wholeNumber(name).flatMap { wholeNumbers[$0] }
    }

    public static func == (a: LabelSet, b: LabelSet) -> Bool {
        a.objective == b.objective && a.names.map(ByteString.init) == b.names.map(ByteString.init)
    }
    public func hash(into hasher: inout Hasher) { hasher.combine(names.map(ByteString.init)) }

    /// What texts of labels stand for: classes where all are whole numbers, in the order of their values, numbers where
    /// all are and one isn't whole, and otherwise classes by code points. The texts differ in their bytes.
    public init(inferredFrom texts: [String]) {
        let whole = texts.compactMap { Self.wholeNumber($0) }
        if whole.count == texts.count {
            // 1.0 and 1 are one class; 07 and 7, which no one writes for a number, are two.
            let areIntegers = texts.allSatisfy { Int($0) != nil }
            self.init(
                names: areIntegers
                    ? texts.sorted { (Int($0) ?? 0, $0) < (Int($1) ?? 0, $1) } : Set(whole).sorted().map { "\($0)" })
        } else if texts.allSatisfy({ Self.value($0) != nil }) {
            self = .regression
        } else {
            self.init(names: texts.sorted { $0.precedesByCodePoints($1) })
        }
    }

    /// The finite number that a label's text is.
    static func value(_ text: String) -> Float? {
        guard let first = text.utf8.first, first == UInt8(ascii: "-") || first &- UInt8(ascii: "0") < 10,
            let value = Float(text), value.isFinite
        else { return nil }
        return value
    }

    /// The whole number that a label's text is, as an integer or with a point.
    public static func wholeNumber(_ text: String) -> Int? {
        if let value = Int(text) { return value }
        guard value(text) != nil, let value = Double(text) else { return nil }
        return Int(exactly: value)
    }
}
