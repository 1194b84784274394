import Diagnostics

/// A chart as SVG without scripts, fonts or anything else from elsewhere.
public struct ChartPicture {
    /// Where the picture stands.
    public enum Place: Sendable {
        /// In a file of its own, which is light or dark as whoever looks at it likes.
        case file
        /// In a page that has `ChartPicture.style` among its own, and whose colour of text it takes.
        case page
    }

    private let chart: Chart
    private let place: Place

    public init(_ chart: Chart, for place: Place) {
        self.chart = chart
        self.place = place
    }

    /// How the parts look.
    public static let style = """
        svg text { fill: currentColor; font: 12px system-ui, sans-serif; }
        svg .title { font-size: 15px; font-weight: 600; }
        svg .grid { stroke: currentColor; stroke-opacity: .15; }
        svg polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
        svg .thin { stroke-width: 1; stroke-opacity: .35; }
        svg .ring { fill: none; stroke-width: 2; }
        svg .second { fill-opacity: .65; }
        """

    private static let ownStyle = """
        svg { color: #24292f; background: #fff; }
        .ground { fill: #fff; }
        @media (prefers-color-scheme: dark) { svg { color: #d0d7de; background: #0d1117; } .ground { fill: #0d1117; } }
        """

    // Okabe and Ito's colours, told apart with any kind of sight, and a few of Tol's; what comes after them has dashes too.
    private static let colors = [
        "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#aa4499", "#999933", "#44aa99",
    ]

    private static let (width, plotHeight) = (860.0, 300.0)
    private static let (rowHeight, edge, mostDots) = (18.0, 16.0, 60)

    /// Nothing where there is nothing to be drawn.
    public var svg: String {
        guard let axes = chart.axes(xTicks: 8, yTicks: 6) else { return "" }
        let legend = Legend(chart.lines, width: Self.width - 2 * Self.edge)
        let top = 30 + Double(legend.rowCount) * Self.rowHeight + 10
        let area = Area(
            axes: axes, left: Self.edge + axes.y.labelWidth + 8,
            right: Self.width - Self.edge - (axes.second.map { $0.labelWidth + 8 } ?? 8), top: top,
            bottom: top + Self.plotHeight)
        let height = area.bottom + 44
        let parts =
            [#"<text class="title" x="\#(Self.edge.short)" y="20">\#(chart.title.escaped)</text>"#]
            + legend.entries.flatMap { entry in draw(entry) } + grid(area) + chart.lines.flatMap { draw($0, area) }
        return head(height) + parts.joined(separator: "\n") + "\n</svg>"
    }

    private func head(_ height: Double) -> String {
        let box =
            #"viewBox="0 0 \#(Self.width.short) \#(height.short)" role="img" aria-label="\#(chart.title.escaped)""#
        if place == .page { return "<svg \(box)>\n" }
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(Self.width.short)" height="\(height.short)" \(box)>
            <style>
            \(Self.ownStyle)
            \(Self.style)
            </style>
            <rect class="ground" width="100%" height="100%"/>

            """
    }

    private func grid(_ area: Area) -> [String] {
        var parts: [String] = []
        func text(_ content: String, x: Double, y: Double, _ anchor: String, _ more: String = "") {
            parts.append(
                #"<text\#(more) x="\#(x.short)" y="\#(y.short)" text-anchor="\#(anchor)">\#(content.escaped)</text>"#)
        }
        for tick in area.axes.y.ticks {
            let y = area.y(tick.value)
            parts.append(
                #"<line class="grid" x1="\#(area.left.short)" x2="\#(area.right.short)" y1="\#(y.short)" y2="\#(y.short)"/>"#
            )
            text(tick.label, x: area.left - 8, y: y + 4, "end")
        }
        var free = -Double.infinity
        for tick in area.axes.x.ticks {
            let (x, width) = (area.x(tick.value), tick.label.drawnWidth)
            if x - width / 2 < free { continue }
            free = x + width / 2 + 10
            text(tick.label, x: x, y: area.bottom + 18, "middle")
        }
        if let second = area.axes.second {
            for tick in second.ticks {
                text(tick.label, x: area.right + 8, y: area.y(tick.value, second) + 4, "start", #" class="second""#)
            }
        }
        text(chart.xTitle, x: (area.left + area.right) / 2, y: area.bottom + 36, "middle")
        if let title = chart.secondTitle, area.axes.second != nil {
            text(title, x: Self.width - Self.edge, y: area.bottom + 36, "end", #" class="second""#)
        }
        return parts
    }

    private func draw(_ line: ChartLine, _ area: Area) -> [String] {
        let axis = line.isOnSecondAxis ? area.axes.second ?? area.axes.y : area.axes.y
        let title = line.name.isEmpty ? "" : "<title>\(line.name.escaped)</title>"
        let color = Self.color(line)
        func dot(_ point: ChartPoint) -> String {
            #"<circle cx="\#(area.x(point.x).short)" cy="\#(area.y(point.y, axis).short)" r="3" fill="\#(color)">\#(title)</circle>"#
        }
        var result: [String] = []
        for part in line.parts(area.axes.x, columns: Int(Self.width)) {
            let points = part.map { "\(area.x($0.x).short),\(area.y($0.y, axis).short)" }
            if part.count > 1 {
                result.append(
                    #"<polyline \#(Self.stroke(line)) points="\#(points.joined(separator: " "))">\#(title)</polyline>"#)
            }
            if part.count == 1 || line.hasDots && line.points.count <= Self.mostDots { result += part.map(dot) }
        }
        if let mark = line.mark, mark.isDrawable {
            result.append(
                #"<circle class="ring" cx="\#(area.x(mark.x).short)" cy="\#(area.y(mark.y, axis).short)" r="6" stroke="\#(color)"/>"#
            )
        }
        return result
    }

    private func draw(_ entry: Legend.Entry) -> [String] {
        let y = 30 + (Double(entry.row) + 0.5) * Self.rowHeight
        let x = Self.edge + entry.x
        let line = chart.lines[entry.line]
        return [
            #"<line \#(Self.stroke(line)) stroke-width="2" x1="\#(x.short)" x2="\#((x + 24).short)" y1="\#(y.short)" y2="\#(y.short)"/>"#,
            #"<text x="\#((x + 30).short)" y="\#((y + 4).short)">\#(entry.text.escaped)</text>"#,
        ]
    }

    private static func color(_ line: ChartLine) -> String { colors[line.color % colors.count] }

    private static func stroke(_ line: ChartLine) -> String {
        var text = #"stroke="\#(color(line))""#
        let isRepeated = line.color / colors.count % 2 == 1
        switch line.stroke {
        case .thin: text = #"class="thin" "# + text
        case .solid: if isRepeated { text += #" stroke-dasharray="12 3""# }
        case .dashed: text += #" stroke-dasharray="\#(isRepeated ? "4 3" : "7 3")""#
        case .dotted: text += #" stroke-dasharray="2 4" stroke-opacity=".6""#
        }
        return text
    }
}

/// Where the lines are drawn.
private struct Area {
    let axes: (x: ChartAxis, y: ChartAxis, second: ChartAxis?)
    let left: Double
    let right: Double
    let top: Double
    let bottom: Double

    func x(_ value: Double) -> Double { left + (right - left) * axes.x.position(value) }
    func y(_ value: Double) -> Double { y(value, axes.y) }
    func y(_ value: Double, _ axis: ChartAxis) -> Double { bottom - (bottom - top) * axis.position(value) }
}

/// The names of lines, one after the other in as many rows as they need.
private struct Legend {
    struct Entry {
        let line: Int
        let text: String
        let x: Double
        let row: Int
    }

    private(set) var entries: [Entry] = []
    private(set) var rowCount = 0

    private static let longest = 60

    init(_ lines: [ChartLine], width: Double) {
        var x = 0.0
        for (index, line) in lines.enumerated() where !line.name.isEmpty {
            let text = line.name.shortened(to: Self.longest)
            let wanted = 30 + text.drawnWidth
            if rowCount == 0 || x + wanted > width {
                rowCount += 1
                x = 0
            }
            entries.append(Entry(line: index, text: text, x: x, row: rowCount - 1))
            x += wanted + 22
        }
    }
}

extension ChartAxis {
    fileprivate var labelWidth: Double { ticks.map(\.label.drawnWidth).max() ?? 0 }
}

extension Double {
    /// A length in the picture.
    fileprivate var short: String {
        let text = text(decimals: 1)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}

extension String {
    /// About how wide the text is in the font that most systems have.
    fileprivate var drawnWidth: Double { unicodeScalars.reduce(0) { $0 + ($1.value < 0x1100 ? 7 : 12.5) } }

    /// The text with its middle left out where it is longer than `count` characters.
    func shortened(to count: Int) -> String {
        self.count <= count ? self : prefix(count / 2 - 1) + "…" + suffix(count - count / 2)
    }

    /// The text for HTML and XML, which can't hold every character.
    package var escaped: String {
        let text = harmless.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
        return String(String.UnicodeScalarView(text.unicodeScalars.filter { $0.value & 0xFFFE != 0xFFFE }))
    }
}
