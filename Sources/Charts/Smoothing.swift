/// Means over neighbouring values of a line that goes up and down.
public enum Smoothing {
    /// The window that makes the course of a noisy line seen; 1 for one that needs none.
    ///
    /// A line is noisy where the way up and down along it is more than three times what it covers.
    public static func window(for points: [ChartPoint]) -> Int {
        let values = points.lazy.filter(\.isDrawable).map(\.y)
        guard points.count >= 20, let low = values.min(), let high = values.max(), high > low else { return 1 }
        var (way, last) = (0.0, values.first ?? 0)
        for value in values {
            way += (value - last).magnitude
            last = value
        }
        return way > 3 * (high - low) ? max(5, points.count / 25) | 1 : 1
    }

    /// Each value's mean with those around it, `window` in all and fewer at the ends; what can't be drawn is left out of
    /// means and stays as it is.
    ///
    /// A window is the end of one block of that length and the beginning of the next, whose sums are taken within the
    /// blocks (van Herk 1992): time doesn't depend on the window, and a huge value reaches no further than it.
    public static func means(_ points: [ChartPoint], window: Int) -> [ChartPoint] {
        let count = points.count
        let window = min(max(1, window), max(1, 2 * count - 1))
        if window == 1 { return points }
        var (fromStart, toEnd) = (points.map(Sum.init), points.map(Sum.init))
        for index in points.indices.dropFirst() where index % window != 0 { fromStart[index].add(fromStart[index - 1]) }
        for index in points.indices.dropLast().reversed() where (index + 1) % window != 0 {
            toEnd[index].add(toEnd[index + 1])
        }
        return points.indices.map { index in
            if !points[index].isDrawable { return points[index] }
            let first = max(0, index - (window - 1) / 2)
            let last = min(count - 1, index + window / 2)
            var sum = first % window == 0 ? fromStart[last] : toEnd[first]
            if first / window != last / window {
                sum = toEnd[first]
                sum.add(fromStart[last])
            }
            return ChartPoint(x: points[index].x, y: sum.value / Double(sum.count))
        }
    }

    private struct Sum {
        var value = 0.0
        var count = 0

        init(_ point: ChartPoint) { if point.isDrawable { (value, count) = (point.y, 1) } }

        mutating func add(_ other: Sum) {
            value += other.value
            count += other.count
        }
    }
}
