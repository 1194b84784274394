import Diagnostics
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
            add("model") { $0.name + ($0.shots > 0 ? ", \($0.shots) shots" : "") }
        }
        add("loss") { ($0.loss?.loss ?? $0.labels?.loss)?.text(decimals: 4) }
        add("perplexity") { $0.loss?.perplexity.text(decimals: 2) }
        let targets = Set(reports.compactMap(\.loss?.tokens))
        if targets.count > 1 { add("target tokens") { $0.loss?.tokens.grouped } }
        for score in reports.first?.labels?.scores ?? [] {
            add(score.name) { report in
                report.labels?.scores.first { $0.name == score.name }?.value?.text(decimals: 4)
            }
        }
        let texts = reports.first?.texts?.scores ?? []
        func score(_ name: String, of report: EvaluationReport) -> TextScore? {
            report.texts?.scores.first { $0.name == name }
        }
        for name in texts.map(\.name) {
            add(name) { report in score(name, of: report).map { $0.value.text(decimals: $0.decimals) } }
        }
        for name in texts.filter({ $0.interval != nil }).map(\.name) {
            add("\(name) 95 %") { report in
                score(name, of: report)?.interval.map {
                    "\($0.lowerBound.text(decimals: 4))–\($0.upperBound.text(decimals: 4))"
                }
            }
        }
        var lines = Self.lines(columns, leftAligned: isNamed ? 1 : 0)
        if let report = reports.first {
            var counts: [String] = []
            if let loss = report.loss {
                counts.append(
                    "\(loss.examples.grouped) examples, "
                        + (targets.count > 1
                            ? "whose losses are means over different targets"
                            : "\(loss.tokens.grouped) target tokens"))
            }
            if let labels = report.labels { counts.append("\(labels.examples.grouped) examples") }
            if let texts = report.texts {
                counts.append(
                    "\(texts.texts.grouped) \(report.loss == nil && report.labels == nil ? "predictions" : "prompts")")
            }
            lines.append(counts.joined(separator: "; "))
            for score in report.texts?.scores ?? [] {
                if let signature = score.signature { lines.append("\(score.name) \(signature)") }
            }
        }
        for report in reports {
            guard let classes = report.classes else { continue }
            lines += [""] + Self.lines(of: classes, title: isNamed && reports.count > 1 ? report.name : "label")
        }
        text = lines.map { $0 + "\n" }.joined()
    }

    /// How well each label was told.
    private static func lines(of classes: (names: [String], scores: ClassificationScores), title: String) -> [String] {
        func column(_ title: String, _ value: (ClassificationScores.Class) -> String) -> [String] {
            [title] + classes.scores.classes.map(value)
        }
        let columns = [
            [title] + classes.names, column("precision") { $0.precision.text(decimals: 4) },
            column("recall") { $0.recall.text(decimals: 4) }, column("f1") { $0.f1.text(decimals: 4) },
            column("support") { $0.support.grouped },
        ]
        return lines(columns, leftAligned: 1)
    }

    /// Rows of columns of the same length, of which the first `leftAligned` begin and the others end below each other.
    private static func lines(_ columns: [[String]], leftAligned: Int) -> [String] {
        let widths = columns.map { column in column.reduce(0) { max($0, $1.count) } }
        return (columns.first ?? []).indices.map { row in
            columns.enumerated().map { index, column in
                index < leftAligned ? column[row].padded(widths[index]) : column[row].leftPadded(widths[index])
            }.joined(separator: "  ")
        }
    }
}

extension EvaluationReport {
    /// The model's name in a table.
    fileprivate var name: String { adapter ?? "base" }
}
