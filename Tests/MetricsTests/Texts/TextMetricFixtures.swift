import FoundationEssentials
import JSONText
import Metrics
import TestSupport
import Testing

/// What sacrebleu and SQuAD's script gave, as `scripts/fixtures/text_metrics.py` wrote it.
enum TextMetricFixtures {
    static let settings = TextMetricSettings(usesStemmer: true, seed: 1)

    static func load(_ name: String) throws -> JSONNode {
        try JSONNode.load(path: fixture("text_metrics/\(name)").path())
    }

    /// The pairs of E2E texts that `scores` of `pairs.json` are of.
    static func pairs() throws -> [ScoredText] {
        let root = try JSONNode.load(path: fixture("rouge/pairs.json").path())
        let texts = try root.array("texts").map { try $0.asString() }
        return try root.array("pairs").map {
            let pair = try $0.asArray()
            return ScoredText(
                prediction: texts[try pair[0].asInteger()], references: [texts[try pair[1].asInteger()]])
        }
    }

    static func text(_ node: JSONNode) throws -> ScoredText {
        let entry = try node.asArray()
        return ScoredText(
            prediction: try entry[0].asString(), references: try entry[1].asArray().map { try $0.asString() })
    }

    /// The scores of texts together, by their names, with their details.
    static func scores(_ texts: [ScoredText]) -> [String: TextScore] {
        var found: [String: TextScore] = [:]
        for type in textMetrics where type.name != "rouge" {
            for score in scored(type.init(settings), texts).scores { found[score.name] = score }
        }
        return found
    }

    static func scored<Metric: TextMetric>(_ metric: Metric, _ texts: [ScoredText]) -> Metric {
        var metric = metric
        for text in texts { metric.add(metric.statistics(of: text)) }
        return metric
    }
}

extension TextScore {
    func detail(_ name: String) -> Detail? { details.first { $0.name == name }?.value }
}
