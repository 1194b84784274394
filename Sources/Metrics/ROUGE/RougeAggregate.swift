import Diagnostics

/// The means of a type's scores over a data set, with the bounds of a bootstrap confidence interval of the mean
/// F-measure.
public struct RougeAggregate: Equatable, Sendable {
    public var precision: Double
    public var recall: Double
    public var fmeasure: Double
    public var low: Double
    public var high: Double
}

/// What is kept of the scores of many examples: the sums of each type's, and the F-measures, from which means are drawn.
struct RougeAggregator: Sendable {
    private let types: [RougeType]
    private var sums: [RougeScore]
    /// Those of one example side by side: a draw then touches one place in memory.
    private var measures: [Double] = []
    private var count: Int { measures.count / max(types.count, 1) }

    init(_ types: [RougeType]) {
        self.types = types
        sums = types.map { _ in RougeScore(precision: 0, recall: 0) }
    }

    /// Adds an example, which has a score of each type.
    mutating func add(_ example: RougeScores) {
        for (index, type) in types.enumerated() {
            guard let score = example[type] else { defect("aggregate: an example without \(type)") }
            sums[index].precision += score.precision
            sums[index].recall += score.recall
            sums[index].fmeasure += score.fmeasure
            measures.append(score.fmeasure)
        }
    }

    /// As `aggregate(_:confidence:resamples:seed:)`.
    func aggregate(confidence: Double, resamples: Int, seed: UInt64) -> [RougeType: RougeAggregate] {
        require(resamples > 0 && (0...1).contains(confidence), "aggregate: \(resamples) resamples, \(confidence)")
        if count == 0 { return [:] }
        var means = [[Double]](repeating: [], count: types.count)
        var generator = SplitMix64(state: seed)
        for _ in 0..<resamples {
            var drawn = [Double](repeating: 0, count: types.count)
            for _ in 0..<count {
                let draw = Int(generator.next(below: UInt64(count))) * types.count
                for type in types.indices { drawn[type] += measures[draw + type] }
            }
            for type in types.indices { means[type].append(drawn[type] / Double(count)) }
        }
        var result: [RougeType: RougeAggregate] = [:]
        for (index, type) in types.enumerated() {
            let sorted = means[index].sorted()
            result[type] = RougeAggregate(
                precision: sums[index].precision / Double(count), recall: sums[index].recall / Double(count),
                fmeasure: sums[index].fmeasure / Double(count), low: quantile(sorted, (1 - confidence) / 2),
                high: quantile(sorted, 1 - (1 - confidence) / 2))
        }
        return result
    }
}

/// Means over the examples, and intervals from means over resampled examples (drawn with replacement, as many as there
/// are), between the percentiles that leave out (1 − confidence) / 2 on both sides, interpolated linearly.
///
/// The same seed draws the same examples for every type, and for every list of examples of the same length, so that two
/// models are compared on the same draws. Every example holds the same types; without examples the result is empty.
public func aggregate(
    _ examples: [RougeScores], confidence: Double, resamples: Int, seed: UInt64
) -> [RougeType: RougeAggregate] {
    var aggregator = RougeAggregator(examples.first.map { Array($0.keys) } ?? [])
    for example in examples { aggregator.add(example) }
    return aggregator.aggregate(confidence: confidence, resamples: resamples, seed: seed)
}

/// The value below which a share of the sorted values lies, linear between neighbours.
private func quantile(_ sorted: [Double], _ share: Double) -> Double {
    let position = share * Double(sorted.count - 1)
    let below = Int(position)
    let above = min(below + 1, sorted.count - 1)
    return sorted[below] + (sorted[above] - sorted[below]) * (position - Double(below))
}

/// S. Vigna's splitmix64: a counter and a mixing function.
private struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number below the bound; the bias of taking the high product is below bound / 2^64.
    mutating func next(below bound: UInt64) -> UInt64 { next().multipliedFullWidth(by: bound).high }
}
