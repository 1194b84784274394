import Metrics
import Training

/// What an evaluation found, for people.
struct EvaluationTable {
    let text: String

    /// - Parameter isNamed: Whether each row begins with the model's name.
    init(_ reports: [EvaluationReport], isNamed: Bool) {
        var columns: [[String]] = []
        func add(_ title: String, _ value: (EvaluationReport) -> String?) {
            let values = reports.map { value($0) ?? "" }
            if values.contains(where: { !$0.isEmpty }) { columns.append([title] + values) }
        }
        if isNamed {
            add("model") { ($0.adapter ?? "base") + ($0.shots > 0 ? ", \($0.shots) shots" : "") }
        }
        add("loss") { ($0.loss?.loss ?? $0.labels?.loss)?.text(decimals: 4) }
        add("perplexity") { $0.loss?.perplexity.text(decimals: 2) }
        for score in reports.first?.labels?.scores ?? [] {
            add(score.name) { report in
                report.labels?.scores.first { $0.name == score.name }?.value?.text(decimals: 4)
            }
        }
        for type in RougeType.allCases { add(type.rawValue) { $0.rouge?.scores[type]?.fmeasure.text(decimals: 4) } }
        add("rougeL 95 %") { report in
            report.rouge?.scores[.rougeL].map { "\($0.low.text(decimals: 4))–\($0.high.text(decimals: 4))" }
        }
        let widths = columns.map { column in column.reduce(0) { max($0, $1.count) } }
        var lines = (0...reports.count).map { row in
            var cells: [String] = []
            for (index, column) in columns.enumerated() {
                let padding = String(repeating: " ", count: widths[index] - column[row].count)
                cells.append(isNamed && index == 0 ? column[row] + padding : padding + column[row])
            }
            return cells.joined(separator: "  ")
        }
        if let report = reports.first {
            var counts: [String] = []
            if let loss = report.loss {
                counts.append("\(loss.examples.grouped) examples, \(loss.tokens.grouped) target tokens")
            }
            if let labels = report.labels { counts.append("\(labels.examples.grouped) examples") }
            if let rouge = report.rouge {
                counts.append("\(rouge.examples.grouped) \(report.loss == nil ? "predictions" : "prompts")")
            }
            lines.append(counts.joined(separator: "; "))
        }
        text = lines.map { $0 + "\n" }.joined()
    }
}
