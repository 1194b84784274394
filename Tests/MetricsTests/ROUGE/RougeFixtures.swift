import FoundationEssentials
import JSONText
import Metrics
import TestSupport

/// What rouge_score and NLTK gave, as `scripts/fixtures/rouge.py` wrote it.
enum RougeFixtures {
    static func load(_ name: String) throws -> JSONNode {
        try JSONNode.load(path: fixture("rouge/\(name)").path())
    }

    /// [[precision, recall, F-measure]] of all types, in order.
    static func scores(_ node: JSONNode) throws -> [[Double]] {
        try node.asArray().map { try $0.asArray().map { try $0.asNumber() } }
    }
}

extension RougeScores {
    /// [[precision, recall, F-measure]] of all types, in order.
    var numbers: [[Double]] {
        RougeType.allCases.map { type in self[type].map { [$0.precision, $0.recall, $0.fmeasure] } ?? [] }
    }
}

func largestDifference(_ first: [[Double]], _ second: [[Double]]) -> Double {
    guard first.map(\.count) == second.map(\.count) else { return .infinity }
    return zip(first.joined(), second.joined()).map { abs($0 - $1) }.max() ?? 0
}
