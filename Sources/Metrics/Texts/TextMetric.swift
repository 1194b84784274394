/// A prediction with the texts that it is compared with.
public struct ScoredText: Sendable, Hashable {
    public var prediction: String
    /// At least one.
    public var references: [String]

    public init(prediction: String, references: [String]) {
        self.prediction = prediction
        self.references = references
    }
}

/// A measure of generated texts. What it keeps of each are statistics, never the text.
public protocol TextMetric: Sendable {
    /// What one text adds.
    associatedtype Statistics: Sendable

    /// The name by which it is asked for.
    static var name: String { get }
    /// The names of the values that it gives, of which each is better the greater it is.
    static var valueNames: [String] { get }

    init(_ settings: TextMetricSettings)

    func statistics(of text: ScoredText) -> Statistics
    mutating func add(_ statistics: Statistics)

    /// A score for each of `valueNames`, of at least one text.
    var scores: [TextScore] { get }
    /// Why a score says little about these texts; nil where it doesn't.
    var warning: String? { get }
}

extension TextMetric {
    public static var valueNames: [String] { [name] }
    public var warning: String? { nil }
}

/// Every measure of generated texts, in the order in which they are listed.
public let textMetrics: [any TextMetric.Type] = [
    ROUGE.self, BLEU.self, ChrF.self, ExactMatch.self, TokenF1.self, AnswerAccuracy.self,
]

/// What measures can be told.
public struct TextMetricSettings: Sendable, Hashable {
    /// Whether ROUGE compares words by their stems.
    public var usesStemmer: Bool
    /// Starts the drawing of the bootstrap samples.
    public var seed: UInt64

    public init(usesStemmer: Bool, seed: UInt64) {
        self.usesStemmer = usesStemmer
        self.seed = seed
    }
}

/// What texts got by a measure.
public struct TextScore: Sendable, Hashable {
    /// Something that stands beside the value.
    public enum Detail: Sendable, Hashable {
        case number(Double)
        case numbers([Double])
        case integer(Int)
        case integers([Int])
        case text(String)
    }

    public let name: String
    public let value: Double
    /// Digits behind the point, for people: fewer of those that go to 100.
    public let decimals: Int
    /// What there is to say, the value among it, by the names that it has in JSON; empty where that is all.
    public let details: [(name: String, value: Detail)]
    /// The bounds of the 95 % interval, where it is shown to people.
    public let interval: ClosedRange<Double>?
    /// How it was computed, in the words of its reference.
    public let signature: String?

    init(
        _ name: String, _ value: Double, decimals: Int = 4, details: [(name: String, value: Detail)] = [],
        interval: ClosedRange<Double>? = nil, signature: String? = nil
    ) {
        self.name = name
        self.value = value
        self.decimals = decimals
        self.details = details
        self.interval = interval
        self.signature = signature
    }

    public static func == (first: TextScore, second: TextScore) -> Bool {
        first.name == second.name && first.value == second.value && first.interval == second.interval
            && first.signature == second.signature && first.details.elementsEqual(second.details, by: ==)
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(value)
    }
}

/// A mean over texts.
struct MeanOfTexts: Sendable {
    private var sum = 0.0
    private var count = 0

    mutating func add(_ value: Double) {
        sum += value
        count += 1
    }

    var value: Double { sum / Double(max(count, 1)) }
}
