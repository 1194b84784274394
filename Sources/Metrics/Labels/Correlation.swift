import Diagnostics

/// Pearson's correlation Σ (x − x̄)(y − ȳ) / √(Σ (x − x̄)² Σ (y − ȳ)²); nil where one side is constant, or has a single
/// value.
public func pearsonCorrelation(_ x: [Double], _ y: [Double]) -> Double? {
    require(x.count == y.count, "pearsonCorrelation: \(x.count) and \(y.count) values")
    guard x.count > 1 else { return nil }
    let count = Double(x.count)
    let (meanX, meanY) = (x.reduce(0, +) / count, y.reduce(0, +) / count)
    var (xx, yy, xy) = (0.0, 0.0, 0.0)
    for (a, b) in zip(x, y) {
        let (dx, dy) = (a - meanX, b - meanY)
        xx += dx * dx
        yy += dy * dy
        xy += dx * dy
    }
    guard xx > 0, yy > 0 else { return nil }
    return max(-1, min(1, xy / (xx.squareRoot() * yy.squareRoot())))
}

/// Spearman's correlation: Pearson's of the ranks, equal values sharing the mean of theirs.
public func spearmanCorrelation(_ x: [Double], _ y: [Double]) -> Double? {
    pearsonCorrelation(ranks(x), ranks(y))
}

private func ranks(_ values: [Double]) -> [Double] {
    let order = values.indices.sorted { values[$0] < values[$1] }
    var ranks = [Double](repeating: 0, count: values.count)
    var start = 0
    while start < order.count {
        var end = start
        while end < order.count, values[order[end]] == values[order[start]] { end += 1 }
        for index in start..<end { ranks[order[index]] = Double(start + end + 1) / 2 }
        start = end
    }
    return ranks
}
