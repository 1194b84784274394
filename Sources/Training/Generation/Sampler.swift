import Diagnostics
import Glibc
import Tensors

/// How the next token is drawn from a model's logits.
public struct SamplingSettings: Sendable, Hashable {
    /// The logits are divided by this, > 0.
    public var temperature: Double
    /// Only the tokens with a logit not below the k-th largest stay; nil for all.
    public var topK: Int?
    /// Only the most likely tokens stay that together are just more likely than this; nil for all.
    public var topP: Double?
    /// Only tokens stay that are at least this share as likely as the most likely one; nil for all.
    public var minP: Double?
    /// Only the tokens stay whose surprise is nearest to the expected one, until they have this probability; nil for all.
    public var typicalP: Double?
    /// Only tokens stay that are at least so likely; nil for all.
    public var epsilonCutoff: Double?
    /// The same, with a lower bound where many are likely; nil for all.
    public var etaCutoff: Double?
    /// Starts the draws; each prompt has a sequence of its own.
    public var seed: UInt64

    public init(temperature: Double, topK: Int?, topP: Double?, seed: UInt64) {
        require(temperature > 0, "SamplingSettings: a temperature of \(temperature)")
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.seed = seed
    }
}

/// The token with the largest logit, the first of equals, as torch's `argmax`; NaN counts as larger than any number.
package func greedyChoice(_ logits: UnsafeBufferPointer<Float>) -> Int32 { Int32(placeOfLargest(logits)) }

/// Draws tokens one after the other, as transformers' `generate` with `do_sample`: temperature, then top-k, then top-p, then
/// `choiceFilters`.
package struct Sampler {
    /// A token that can be drawn, with its probability.
    package struct Choice: Hashable {
        package var token: Int32
        package var probability: Double
    }

    private let settings: SamplingSettings
    private var generator: RandomGenerator

    /// - Parameter index: The prompt's number, on which the draws depend beside the seed.
    package init(_ settings: SamplingSettings, index: Int) {
        self.settings = settings
        generator = RandomGenerator(seed: settings.seed, stream: "sample.\(index)")
    }

    package mutating func choose(_ logits: UnsafeBufferPointer<Float>) -> Int32 {
        let choices = Self.choices(logits, settings)
        var rest = generator.nextUniform()
        for choice in choices {
            rest -= choice.probability
            if rest < 0 { return choice.token }
        }
        // Rounding has left the sum just below 1.
        return choices.last?.token ?? greedyChoice(logits)
    }

    /// The tokens that stay, by ascending id, with probabilities that sum to 1; none where a logit is NaN.
    package static func choices(_ logits: UnsafeBufferPointer<Float>, _ settings: SamplingSettings) -> [Choice] {
        let scores = logits.map { Double($0) / settings.temperature }
        let floor = settings.topK.flatMap { $0 < scores.count ? largest($0, of: scores) : nil } ?? -.infinity
        var choices: [Choice] = []
        var maximum = -Double.infinity
        for (token, score) in scores.enumerated() where score >= floor {
            choices.append(Choice(token: Int32(token), probability: score))
            maximum = max(maximum, score)
        }
        var total = 0.0
        for index in choices.indices {
            let weight = exp(choices[index].probability - maximum)
            choices[index].probability = weight
            total += weight
        }
        guard total.isFinite, total > 0 else { return [] }
        for index in choices.indices { choices[index].probability /= total }
        if let topP = settings.topP, topP < 1 { keepNucleus(&choices, 1 - topP) }
        for filter in choiceFilters {
            guard let filter = filter.init(settings) else { continue }
            let kept = zip(choices, filter.stays(choices)).filter(\.1).map(\.0)
            let total = kept.reduce(0) { $0 + $1.probability }
            choices = kept.map { Choice(token: $0.token, probability: $0.probability / total) }
        }
        return choices
    }

    /// Drops the least likely tokens while together they have at most `share` (Holtzman et al. 2020), never the last.
    private static func keepNucleus(_ choices: inout [Choice], _ share: Double) {
        // Tokens this unlikely are dropped in any case, which leaves few to sort.
        let negligible = share / Double(choices.count)
        var dropped = 0.0
        var candidates: [Int] = []
        for (index, choice) in choices.enumerated() {
            if choice.probability < negligible { dropped += choice.probability } else { candidates.append(index) }
        }
        // Ascending, the first of equals first, as torch sorts.
        candidates.sort {
            let (a, b) = (choices[$0].probability, choices[$1].probability)
            return a == b ? $0 < $1 : a < b
        }
        var first = 0
        while first < candidates.count - 1 {
            dropped += choices[candidates[first]].probability
            if dropped > share { break }
            first += 1
        }
        let kept = candidates[first...].sorted()
        let total = kept.reduce(0) { $0 + choices[$1].probability }
        choices = kept.map { Choice(token: choices[$0].token, probability: choices[$0].probability / total) }
    }

    /// The k-th largest value, in one pass with a heap of the k largest so far.
    private static func largest(_ count: Int, of values: [Double]) -> Double {
        var heap = Array(values.prefix(count))
        func sink(_ start: Int) {
            var parent = start
            while true {
                var smallest = parent
                for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child] < heap[smallest] {
                    smallest = child
                }
                if smallest == parent { return }
                heap.swapAt(parent, smallest)
                parent = smallest
            }
        }
        for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(index) }
        for value in values.dropFirst(count) where value > heap[0] {
            heap[0] = value
            sink(0)
        }
        return heap[0]
    }
}
