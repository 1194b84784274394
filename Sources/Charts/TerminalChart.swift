import Diagnostics

/// A chart in characters: lines of Braille dots, two by four in each character.
public struct TerminalChart {
    /// Characters in a row that have one colour.
    public struct Run: Sendable, Hashable {
        public let text: String
        /// The number of a line's colour; nil for the axes.
        public let color: Int?
    }

    private let chart: Chart
    private let width: Int
    private let height: Int
    private let lettered: Bool

    /// - Parameters:
    ///   - width: The columns for all.
    ///   - height: The rows of the plot; the axis below it takes one more.
    ///   - lettered: Whether lines are told apart by letters, `a` for the first, because there are no colours.
    public init(_ chart: Chart, width: Int, height: Int, lettered: Bool = false) {
        (self.chart, self.width, self.height, self.lettered) = (chart, width, height, lettered)
    }

    /// The rows as texts without colours.
    public var texts: [String] {
        rows.map { row in
            var text = row.map(\.text).joined()
            while text.hasSuffix(" ") { text.removeLast() }
            return text
        }
    }

    /// From top to bottom; none where there is nothing to be drawn, or no room.
    public var rows: [[Run]] {
        guard let axes = chart.axes(xTicks: max(2, width / 14), yTicks: max(2, height / 3)) else { return [] }
        var labels = [String](repeating: "", count: height)
        // Where there is little room, the ends are said.
        for tick in axes.y.ticks.suffix(1) + axes.y.ticks {
            let row = height - 1 - Int((axes.y.position(tick.value) * Double(height - 1)).rounded())
            if labels.indices.contains(row), labels[row].isEmpty { labels[row] = tick.label }
        }
        let margin = labels.map(\.count).max() ?? 0
        let columns = width - margin - 2
        guard columns >= 8, height >= 2 else { return [] }
        var field = Field(columns: columns, rows: height)
        for line in chart.lines where !line.isOnSecondAxis {
            for part in line.parts(axes.x, columns: 2 * columns) {
                field.draw(
                    part.map { (axes.x.position($0.x), axes.y.position($0.y)) }, color: line.color,
                    letter: lettered ? Self.letter(line.color) : nil, isDashed: line.stroke == .dashed)
            }
        }
        return zip(labels, field.runs).map { label, runs in
            let mark = label.isEmpty ? " │" : " ┤"
            return [Run(text: String(repeating: " ", count: margin - label.count) + label + mark, color: nil)] + runs
        } + [[Run(text: axis(axes.x, margin: margin, columns: columns), color: nil)]]
    }

    /// What stands for lines of that colour.
    public static func letter(_ index: Int) -> Character {
        let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
        return letters[index % letters.count]
    }

    /// The labels of the axis below, and what it is.
    private func axis(_ axis: ChartAxis, margin: Int, columns: Int) -> String {
        var text = [Character](repeating: " ", count: margin + 2 + columns)
        func put(_ label: String, at column: Int) -> Bool {
            let start = min(max(margin + 1, column), text.count - label.count)
            let range = start..<start + label.count
            guard start >= 0, text[max(0, start - 1)..<min(text.count, range.upperBound + 1)].allSatisfy({ $0 == " " })
            else { return false }
            text.replaceSubrange(range, with: Array(label))
            return true
        }
        _ = put(chart.xTitle, at: text.count - chart.xTitle.count)
        for tick in axis.ticks {
            let column = margin + 2 + Int((axis.position(tick.value) * Double(columns - 1)).rounded())
            _ = put(tick.label, at: column - tick.label.count / 2)
        }
        return String(text)
    }
}

/// The dots of all lines.
private struct Field {
    private let columns: Int
    private let rows: Int
    private var dots: [UInt8]
    private var colors: [Int?]
    private var letters: [Character?]

    init(columns: Int, rows: Int) {
        (self.columns, self.rows) = (columns, rows)
        dots = [UInt8](repeating: 0, count: columns * rows)
        colors = [Int?](repeating: nil, count: columns * rows)
        letters = [Character?](repeating: nil, count: columns * rows)
    }

    /// Draws a line through points from (0, 0) at the lower left to (1, 1).
    mutating func draw(_ points: [(x: Double, y: Double)], color: Int, letter: Character?, isDashed: Bool) {
        let places = points.map { point in
            (
                x: Int((point.x * Double(2 * columns - 1)).rounded()),
                y: Int(((1 - point.y) * Double(4 * rows - 1)).rounded())
            )
        }
        guard var last = places.first else { return }
        var way = 0
        for place in places {
            let count = max(1, abs(place.x - last.x), abs(place.y - last.y))
            for step in 0...count {
                let share = Double(step) / Double(count)
                if step > 0 { way += 1 }
                if isDashed, way / Self.dash % 2 == 1 { continue }
                set(
                    last.x + Int((share * Double(place.x - last.x)).rounded()),
                    last.y + Int((share * Double(place.y - last.y)).rounded()), color, letter)
            }
            last = place
        }
    }

    private static let dash = 4

    // Braille's dots are numbered down the columns, but for the two at the bottom, which came later.
    private static let bits: [[UInt8]] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]]

    private mutating func set(_ x: Int, _ y: Int, _ color: Int, _ letter: Character?) {
        guard (0..<2 * columns).contains(x), (0..<4 * rows).contains(y) else { return }
        let cell = y / 4 * columns + x / 2
        dots[cell] |= Self.bits[y % 4][x % 2]
        colors[cell] = color
        letters[cell] = letter
    }

    /// Each row's characters, those of one colour together.
    var runs: [[TerminalChart.Run]] {
        (0..<rows).map { row in
            var runs: [TerminalChart.Run] = []
            var (text, color) = ("", Int?.none)
            for cell in row * columns..<(row + 1) * columns {
                let own = dots[cell] == 0 ? nil : colors[cell]
                if own != color, !text.isEmpty {
                    runs.append(.init(text: text, color: color))
                    text = ""
                }
                color = own
                let dotted = Unicode.Scalar(0x2800 + UInt32(dots[cell])).map(Character.init) ?? " "
                text.append(dots[cell] == 0 ? " " : letters[cell] ?? dotted)
            }
            return runs + [.init(text: text, color: color)]
        }
    }
}
