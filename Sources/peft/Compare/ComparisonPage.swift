import Charts
import Files

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
            \(curves("Training loss", runs.map { ($0.name, $0.training) }))
            \(curves("Validation loss", runs.map { ($0.name, $0.validation) }))
            </body>
            </html>

            """
    }

    private func curves(_ title: String, _ curves: [(name: String, points: [ComparisonRow.Point])]) -> String {
        let lines = curves.enumerated().map { index, curve in
            ChartLine(
                curve.name, curve.points.map { ChartPoint(x: Double($0.step), y: $0.loss) }, color: index, hasDots: true
            )
        }
        return ChartPicture(Chart(title: title, x: .count, xTitle: "step", lines: lines), for: .page).svg
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
        \(ChartPicture.style)
        """
}
