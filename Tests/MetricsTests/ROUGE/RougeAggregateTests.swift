import JSONText
import Metrics
import Testing

@Suite("Aggregated ROUGE scores") struct RougeAggregateTests {
    static func pairScores() throws -> [RougeScores] {
        let root = try RougeFixtures.load("pairs.json")
        let texts = try root.array("texts").map { try $0.asString() }
        let scorer = RougeScorer(types: RougeType.allCases, useStemmer: true)
        return try root.array("pairs").map { pair in
            let pair = try pair.asArray()
            return scorer.score(
                prediction: texts[try pair[0].asInteger()], references: [texts[try pair[1].asInteger()]])
        }
    }

    @Test("are the means, with bounds within 0.005 of rouge_score's", arguments: [0, 1, 42] as [UInt64])
    func reference(seed: UInt64) throws {
        let result = aggregate(try Self.pairScores(), confidence: 0.95, resamples: 1000, seed: seed)
        let expected = try RougeFixtures.scores(try RougeFixtures.load("aggregate.json"))
        for (type, numbers) in zip(RougeType.allCases, expected) {
            let ours = try #require(result[type])
            #expect(
                largestDifference([[ours.precision, ours.recall, ours.fmeasure]], [Array(numbers[..<3])]) < 1e-12)
            #expect(abs(ours.low - numbers[3]) < 0.005 && abs(ours.high - numbers[4]) < 0.005)
            #expect(ours.low < ours.fmeasure && ours.fmeasure < ours.high)
        }
    }

    @Test("depend on nothing but scores and seed")
    func deterministic() throws {
        let scores = Array(try Self.pairScores().prefix(50))
        let first = aggregate(scores, confidence: 0.95, resamples: 200, seed: 7)
        #expect(aggregate(scores, confidence: 0.95, resamples: 200, seed: 7) == first)
        let other = aggregate(scores, confidence: 0.95, resamples: 200, seed: 8)
        #expect(other[.rougeL]?.low != first[.rougeL]?.low)
        #expect(other[.rougeL]?.fmeasure == first[.rougeL]?.fmeasure)
    }

    @Test("draw the same examples whichever types are asked for")
    func sameDraws() throws {
        let scores = Array(try Self.pairScores().prefix(50))
        let all = aggregate(scores, confidence: 0.95, resamples: 200, seed: 7)
        let one = aggregate(
            scores.map { $0.filter { $0.key == .rouge2 } }, confidence: 0.95, resamples: 200, seed: 7)
        #expect(one == all.filter { $0.key == .rouge2 })
    }

    @Test("of one example are the example, of none nothing")
    func few() {
        let scores: RougeScores = [.rouge1: RougeScore(precision: 0.5, recall: 0.5)]
        let result = aggregate([scores], confidence: 0.95, resamples: 10, seed: 0)[.rouge1]
        #expect(result.map { [$0.precision, $0.recall, $0.fmeasure, $0.low, $0.high] } == [0.5, 0.5, 0.5, 0.5, 0.5])
        #expect(aggregate([], confidence: 0.95, resamples: 10, seed: 0).isEmpty)
    }

    @Test("take percentiles between neighbouring means in a straight line")
    func percentiles() throws {
        let examples: [RougeScores] = (0..<9).map { [.rouge1: RougeScore(precision: 1, recall: Double($0) / 8)] }
        func bounds(_ confidence: Double) throws -> RougeAggregate {
            try #require(aggregate(examples, confidence: confidence, resamples: 2, seed: 3)[.rouge1])
        }
        let (outermost, quartiles) = (try bounds(1), try bounds(0.5))
        #expect(outermost.low < outermost.high)
        #expect(abs(quartiles.low - (0.75 * outermost.low + 0.25 * outermost.high)) < 1e-15)
        #expect(abs(quartiles.high - (0.25 * outermost.low + 0.75 * outermost.high)) < 1e-15)
    }
}
