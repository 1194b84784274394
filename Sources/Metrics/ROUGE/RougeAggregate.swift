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

/// Means over the examples, and intervals from means over resampled examples (drawn with replacement, as many as there
/// are), between the percentiles that leave out (1 − confidence) / 2 on both sides, interpolated linearly.
///
/// The same seed draws the same examples for every type, and for every list of examples of the same length, so that two
/// models are compared on the same draws. Every example holds the same types; without examples the result is empty.
public func aggregate(
    _ examples: [RougeScores], confidence: Double, resamples: Int, seed: UInt64
) -> [RougeType: RougeAggregate] {
    require(resamples > 0 && (0...1).contains(confidence), "aggregate: \(resamples) resamples, \(confidence)")
    guard let types = examples.first.map({ Array($0.keys) }) else { return [:] }
    let count = Double(examples.count)

    // Examples' F-measures side by side, all types of one together: a draw then touches one place in memory.
    let measures = examples.flatMap { example in types.map { type in score(type, of: example).fmeasure } }
    var means = [[Double]](repeating: [], count: types.count)
    var generator = SplitMix64(state: seed)
    for _ in 0..<resamples {
        var sums = [Double](repeating: 0, count: types.count)
        for _ in examples.indices {
            let draw = Int(generator.next(below: UInt64(examples.count))) * types.count
            for type in types.indices { sums[type] += measures[draw + type] }
        }
        for type in types.indices { means[type].append(sums[type] / count) }
    }

    var result: [RougeType: RougeAggregate] = [:]
    for (index, type) in types.enumerated() {
        let scores = examples.map { score(type, of: $0) }
        let sorted = means[index].sorted()
        result[type] = RougeAggregate(
            precision: scores.reduce(0) { $0 + $1.precision } / count,
            recall: scores.reduce(0) { $0 + $1.recall } / count,
            fmeasure: scores.reduce(0) { $0 + $1.fmeasure } / count,
            low: quantile(sorted, (1 - confidence) / 2), high: quantile(sorted, 1 - (1 - confidence) / 2))
    }
    return result
}

private func score(_ type: RougeType, of example: RougeScores) -> RougeScore {
    guard let score = example[type] else { defect("aggregate: an example without \(type)") }
    return score
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
