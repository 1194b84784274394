import Diagnostics
import Files
import JSONText

/// A comparison as a page that needs nothing else: the table, and the curves of the losses as SVG.
struct ComparisonPage {
    private let plan: ComparisonPlan
    private let rows: [ComparisonRow]

    init(_ plan: ComparisonPlan, _ rows: [ComparisonRow]) {
        self.plan = plan
        self.rows = rows
    }

    /// Whether a file is a page as this one.
    static func isPage(_ path: String) -> Bool {
        guard let file = try? FileBytes(path: path) else { return false }
        let start = file.withBytes { String(decoding: $0.prefix(400), as: UTF8.self) }
        return start.contains("<title>peft compare</title>")
    }

    var text: String {
        let facts = [
            ("model", plan.modelPath), ("trained on", plan.train.joined(separator: ", ")),
            ("validated on", plan.validation.joined(separator: ", ")), ("seed", "\(plan.seed)"),
        ]
        let runs = rows.filter { $0.training.count > 1 }
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width">
            <title>peft compare</title>
            <style>\(Self.style)</style>
            </head>
            <body>
            <h1>Methods compared</h1>
            <p>\(facts.map { "\($0.0): <b>\($0.1.escaped)</b>" }.joined(separator: " · "))</p>
            \(table)
            \(runs.isEmpty ? "" : LossCurves(title: "Training loss by step", runs.map { ($0.name, $0.training) }).svg)
            \(runs.isEmpty ? "" : LossCurves(title: "Validation loss by step", runs.map { ($0.name, $0.validation) }).svg)
            </body>
            </html>

            """
    }

    private var table: String {
        let table = ComparisonTable(rows)
        let head = table.titles.map { "<th>\($0.escaped)</th>" }.joined()
        let body = table.rows.map { row in
            if let error = row.error {
                return "<tr><td>\(row.cells[0].escaped)</td><td class=\"failed\" colspan=\"\(table.titles.count - 1)\">"
                    + "\(error.escaped)</td></tr>"
            }
            return "<tr>" + row.cells.map { "<td>\($0.escaped)</td>" }.joined() + "</tr>"
        }
        return "<table>\n<thead><tr>\(head)</tr></thead>\n<tbody>\n\(body.joined(separator: "\n"))\n</tbody>\n</table>"
    }

    private static let style = """
        :root { color-scheme: light dark; }
        body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 66em; padding: 0 1em; }
        table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
        th, td { padding: .25em .7em; text-align: right; border-bottom: 1px solid color-mix(in srgb, currentColor 18%, transparent); }
        th:first-child, td:first-child, td.failed { text-align: left; }
        td.failed { color: #c33; }
        svg { display: block; width: 100%; max-width: 60em; margin: 2em 0; }
        svg text { fill: currentColor; font: 12px system-ui, sans-serif; }
        svg .title { font-size: 15px; font-weight: 600; }
        svg .grid { stroke: currentColor; stroke-opacity: .15; }
        svg polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
        """
}

/// Lines over steps, one for each method, with a legend.
private struct LossCurves {
    private let title: String
    private let curves: [(name: String, points: [ComparisonRow.Point])]

    // Okabe and Ito's colours, told apart with any kind of sight, then dashes.
    private static let colors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f"]
    private static let dashes = ["", "7 3", "2 3"]
    private static let (width, height, left, top, bottom) = (900.0, 380.0, 56.0, 36.0, 40.0)
    private static let legendWidth = 190.0

    init(title: String, _ curves: [(name: String, points: [ComparisonRow.Point])]) {
        self.title = title
        self.curves = curves.map { ($0.name, $0.points.filter { $0.loss.isFinite }) }
    }

    var svg: String {
        let points = curves.flatMap(\.points)
        guard let last = points.map(\.step).max(), let highest = points.map(\.loss).max(),
            let lowest = points.map(\.loss).min()
        else { return "" }
        let steps = Double(max(1, last))
        let (low, high) = highest > lowest ? (lowest, highest) : (lowest - 0.5, lowest + 0.5)
        let right = Self.width - Self.legendWidth
        func x(_ step: Double) -> Double { Self.left + (right - Self.left) * step / steps }
        func y(_ loss: Double) -> Double {
            Self.height - Self.bottom - (Self.height - Self.top - Self.bottom) * (loss - low) / (high - low)
        }
        var parts = ["<text class=\"title\" x=\"\(Self.left)\" y=\"18\">\(title.escaped)</text>"]
        for part in 0...4 {
            let (loss, step) = (low + (high - low) * Double(part) / 4, steps * Double(part) / 4)
            let (row, column) = (y(loss).text(decimals: 1), x(step).text(decimals: 1))
            parts.append("<line class=\"grid\" x1=\"\(Self.left)\" x2=\"\(right)\" y1=\"\(row)\" y2=\"\(row)\"/>")
            parts.append(
                "<text x=\"\(Self.left - 8)\" y=\"\(row)\" text-anchor=\"end\" dy=\".3em\">\(loss.text(decimals: 2))</text>"
            )
            parts.append(
                "<text x=\"\(column)\" y=\"\(Self.height - 18)\" text-anchor=\"middle\">\(Int(clamping: step.rounded()).grouped)</text>"
            )
        }
        for (index, curve) in curves.enumerated() where !curve.points.isEmpty {
            let color = Self.colors[index % Self.colors.count]
            let dash = Self.dashes[index / Self.colors.count % Self.dashes.count]
            let stroke = "stroke=\"\(color)\"" + (dash.isEmpty ? "" : " stroke-dasharray=\"\(dash)\"")
            let line = curve.points.map { "\(x(Double($0.step)).text(decimals: 1)),\(y($0.loss).text(decimals: 1))" }
            parts.append(
                "<polyline \(stroke) points=\"\(line.joined(separator: " "))\"><title>\(curve.name.escaped)</title></polyline>"
            )
            if let point = curve.points.last, curve.points.count == 1 {
                parts.append(
                    "<circle cx=\"\(x(Double(point.step)).text(decimals: 1))\" cy=\"\(y(point.loss).text(decimals: 1))\" r=\"3\" "
                        + "fill=\"\(color)\"><title>\(curve.name.escaped)</title></circle>")
            }
            let row = Self.top + 8 + 18 * Double(index)
            parts.append(
                "<line \(stroke) stroke-width=\"2\" x1=\"\(right + 16)\" x2=\"\(right + 40)\" y1=\"\(row)\" y2=\"\(row)\"/>"
            )
            parts.append("<text x=\"\(right + 48)\" y=\"\(row)\" dy=\".3em\">\(curve.name.escaped)</text>")
        }
        let height = max(Self.height, Self.top + 30 + 18 * Double(curves.count))
        return "<svg viewBox=\"0 0 \(Int(Self.width)) \(Int(height))\" role=\"img\" aria-label=\"\(title.escaped)\">\n"
            + parts.joined(separator: "\n") + "\n</svg>"
    }
}

extension String {
    /// The text for HTML.
    fileprivate var escaped: String {
        replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }
}
