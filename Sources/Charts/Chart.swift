/// A picture of lines over an axis, which `ChartPicture` draws as SVG and `TerminalChart` in characters.
public struct Chart: Sendable {
    public var title: String
    public var x: ChartAxis.Kind
    /// What stands below the axis.
    public var xTitle: String
    public var lines: [ChartLine]
    /// What the axis on the right is for, in whose scale the lines are that say so; nil for none.
    public var secondTitle: String?

    public init(
        title: String, x: ChartAxis.Kind, xTitle: String, lines: [ChartLine], secondTitle: String? = nil
    ) {
        self.title = title
        self.x = x
        self.xTitle = xTitle
        self.lines = lines
        self.secondTitle = secondTitle
    }

    /// Whether there is anything to be drawn.
    public var isEmpty: Bool { lines.allSatisfy { line in !line.points.contains { $0.isDrawable } } }

    /// The axes that hold all points; nil where there are none.
    func axes(xTicks: Int, yTicks: Int) -> (x: ChartAxis, y: ChartAxis, second: ChartAxis?)? {
        func drawable(_ isSecond: Bool) -> [ChartPoint] {
            lines.filter { $0.isOnSecondAxis == isSecond }.flatMap { $0.points.filter(\.isDrawable) }
        }
        let (first, second) = (drawable(false), drawable(true))
        guard !(first.isEmpty && second.isEmpty),
            let x = ChartAxis(x, (first + second).map(\.x) + [0], ticks: xTicks, isRounded: false),
            let y = ChartAxis(.number, (first.isEmpty ? second : first).map(\.y), ticks: yTicks)
        else { return nil }
        return (x, y, first.isEmpty ? nil : ChartAxis(.number, second.map(\.y), ticks: min(3, yTicks)))
    }
}

public struct ChartPoint: Sendable, Hashable {
    public var x: Double
    public var y: Double

    public init(x: Double, y: Double) { (self.x, self.y) = (x, y) }

    /// Whether both are finite, and far enough from the largest numbers for their distances to be so.
    public var isDrawable: Bool { x.magnitude < 1e300 && y.magnitude < 1e300 }
}

public struct ChartLine: Sendable {
    public enum Stroke: Sendable { case solid, dashed, dotted, thin }

    /// For the legend; empty for none.
    public var name: String
    /// In the order of `x`. The line has a gap where one can't be drawn.
    public var points: [ChartPoint]
    /// The number of the colour.
    public var color: Int
    public var stroke: Stroke
    /// Whether few points are dots on the line.
    public var hasDots: Bool
    /// The point that has a ring around it.
    public var mark: ChartPoint?
    public var isOnSecondAxis: Bool

    public init(
        _ name: String, _ points: [ChartPoint], color: Int, stroke: Stroke = .solid, hasDots: Bool = false,
        mark: ChartPoint? = nil, isOnSecondAxis: Bool = false
    ) {
        self.name = name
        self.points = points
        self.color = color
        self.stroke = stroke
        self.hasDots = hasDots
        self.mark = mark
        self.isOnSecondAxis = isOnSecondAxis
    }

    /// The parts between the gaps, each with the first, last, lowest and highest of the points that fall into the same of
    /// `columns` columns: more can't be seen.
    func parts(_ axis: ChartAxis, columns: Int) -> [[ChartPoint]] {
        points.split { !$0.isDrawable }.map { part in
            if part.count <= 4 * columns { return Array(part) }
            var kept: [ChartPoint] = []
            var column: ArraySlice<ChartPoint> = []
            func end() {
                guard let first = column.first, let last = column.last else { return }
                let lowest = column.indices.min { column[$0].y < column[$1].y } ?? column.startIndex
                let highest = column.indices.max { column[$0].y < column[$1].y } ?? column.startIndex
                kept.append(first)
                for index in Set([lowest, highest]).sorted()
                where index != column.startIndex && index != column.endIndex - 1 { kept.append(column[index]) }
                if column.count > 1 { kept.append(last) }
            }
            var (start, number) = (part.startIndex, -1)
            for index in part.indices {
                let found = Int(axis.position(part[index].x) * Double(columns))
                if found == number { continue }
                column = part[start..<index]
                end()
                (start, number) = (index, found)
            }
            column = part[start...]
            end()
            return kept
        }
    }
}
