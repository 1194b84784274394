import Diagnostics

/// What a text's label can be: one of some names, or a number.
public struct LabelSet: Sendable, Hashable {
    /// By the names that `problem_type` has in `transformers`.
    public enum Kind: String, CaseIterable, Sendable {
        case classification = "single_label_classification"
        case regression
    }

    public let kind: Kind
    /// The name of each class by its number; empty for regression.
    public let names: [String]
    private let numbers: [String: Int32]

    /// Classes in the order of their numbers.
    public init(names: [String]) {
        kind = .classification
        self.names = names
        numbers = Dictionary(zip(names, 0...), uniquingKeysWith: { first, _ in first })
    }

    private init() {
        kind = .regression
        names = []
        numbers = [:]
    }

    public static let regression = LabelSet()

    /// `LABEL_0`, `LABEL_1` and so on, as `transformers` calls classes without names.
    public static func unnamed(_ count: Int) -> LabelSet { LabelSet(names: (0..<count).map { "LABEL_\($0)" }) }

    /// Whether the names are those that `transformers` gives to classes without names.
    public var isUnnamed: Bool { self == .unnamed(names.count) }

    /// The number of the class `name`.
    public func number(of name: String) -> Int32? { numbers[name] }

    public static func == (a: LabelSet, b: LabelSet) -> Bool { a.kind == b.kind && a.names == b.names }
    public func hash(into hasher: inout Hasher) { hasher.combine(names) }

    /// What texts of labels stand for: numbers where all are and one isn't whole; otherwise classes, integers in the
    /// order of their values and all else by code points.
    public init(inferredFrom texts: Set<String>) {
        let integers = texts.compactMap { Int($0) }
        if integers.count == texts.count {
            self.init(names: texts.sorted { (Int($0) ?? 0, $0) < (Int($1) ?? 0, $1) })
        } else if texts.allSatisfy({ Self.value($0) != nil }) {
            self = .regression
        } else {
            self.init(names: texts.sorted { $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars) })
        }
    }

    /// The finite number that a label's text is.
    static func value(_ text: String) -> Float? {
        guard let first = text.utf8.first, first == UInt8(ascii: "-") || first &- UInt8(ascii: "0") < 10,
            let value = Float(text), value.isFinite
        else { return nil }
        return value
    }
}
