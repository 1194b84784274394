import Diagnostics

/// A comparison in columns.
struct ComparisonTable {
    let titles: [String]
    /// The cells of each row; a failed method's are empty but for the name and the reason.
    let rows: [(cells: [String], error: String?)]

    init(_ rows: [ComparisonRow]) {
        let score = rows.lazy.compactMap(\.score?.name).first
        titles =
            ["method", "learning rate", "trained", "share", "size", "ms a step", "peak memory", "validation loss"]
            + (score.map { [$0] } ?? [])
        self.rows = rows.map { row in
            (Self.cells(row, hasScore: score != nil), row.error.map { "failed: \($0)" })
        }
    }

    private static func cells(_ row: ComparisonRow, hasScore: Bool) -> [String] {
        let share: String? = row.share.map { (100 * $0).text(decimals: 2) + " %" }
        let time: String? = row.secondsPerStep.map { (1000 * $0).text(decimals: 1) }
        var cells: [String?] = [
            row.name, row.learningRate?.scientific, row.trainedParameters?.grouped, share, row.byteCount?.asBytes, time,
            row.peakMemoryBytes?.asBytes, row.validationLoss?.text(decimals: 4),
        ]
        if hasScore { cells.append(row.score?.value.text(decimals: 4)) }
        return cells.map { $0 ?? "" }
    }

    /// For a terminal.
    var text: String {
        let widths = titles.indices.map { column in
            rows.reduce(titles[column].count) { max($0, $1.cells[column].count) }
        }
        func line(_ cells: [String]) -> String {
            let padded = cells.enumerated().map { index, cell in
                index == 0 ? cell.padded(widths[index]) : cell.leftPadded(widths[index])
            }
            return padded.joined(separator: "  ") + "\n"
        }
        return line(titles)
            + rows.map { row in
                row.error.map { "\(row.cells[0].padded(widths[0]))  \($0)\n" } ?? line(row.cells)
            }.joined()
    }

    /// For a page as this project's.
    var markdown: String {
        let rule = titles.indices.map { $0 == 0 ? "---" : "---:" }
        let body: [[String]] = rows.map { row in
            guard let error = row.error else { return row.cells }
            let rest = [String](repeating: "", count: titles.count - 2)
            return [row.cells[0], error.replacing("|", with: "\\|")] + rest
        }
        return ([titles, rule] + body).map { "| " + $0.joined(separator: " | ") + " |\n" }.joined()
    }
}
