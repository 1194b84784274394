import JSONText
import Metrics
import Testing

@Suite("The ROUGE scorer") struct RougeScorerTests {
    @Test("gives rouge_score's numbers on 1,000 pairs of E2E texts", arguments: [false, true])
    func pairs(useStemmer: Bool) throws {
        let root = try RougeFixtures.load("pairs.json")
        let texts = try root.array("texts").map { try $0.asString() }
        let scorer = RougeScorer(types: RougeType.allCases, useStemmer: useStemmer)
        let pairs = try root.array("pairs").map { try $0.asArray() }
        #expect(pairs.count == 1000)
        var largest = 0.0
        for pair in pairs {
            let counts = try pair[useStemmer ? 3 : 2].asArray().map { try $0.asInteger() }
            let expected = [0, 1, 0, 0].enumerated().map { type, lost in
                let precision = Double(counts[2 + type]) / Double(max(counts[0] - lost, 1))
                let recall = Double(counts[2 + type]) / Double(max(counts[1] - lost, 1))
                let sum = precision + recall
                return [precision, recall, sum > 0 ? 2 * precision * recall / sum : 0]
            }
            let scores = scorer.score(
                prediction: texts[try pair[0].asInteger()], references: [texts[try pair[1].asInteger()]])
            largest = max(largest, largestDifference(scores.numbers, expected))
        }
        #expect(largest < 1e-12)
    }

    @Test("takes the best reference of each type, as score_multi does")
    func severalReferences() throws {
        for entry in try RougeFixtures.load("references.json").asArray() {
            let entry = try entry.asArray()
            let references = try entry[1].asArray().map { try $0.asString() }
            for (useStemmer, expected) in [(false, entry[2]), (true, entry[3])] {
                let scores = RougeScorer(types: RougeType.allCases, useStemmer: useStemmer)
                    .score(prediction: try entry[0].asString(), references: references)
                #expect(largestDifference(scores.numbers, try RougeFixtures.scores(expected)) < 1e-11)
            }
        }
    }

    @Test("gives rouge_score's numbers on empty, odd, long and ambiguous texts")
    func awkward() throws {
        let entries = try RougeFixtures.load("awkward.json").asArray().map { try $0.asArray() }
        #expect(entries.count == 69)
        for entry in entries {
            let (prediction, reference) = (try entry[0].asString(), try entry[1].asString())
            for (useStemmer, expected) in [(false, entry[2]), (true, entry[3])] {
                let scores = RougeScorer(types: RougeType.allCases, useStemmer: useStemmer)
                    .score(prediction: prediction, references: [reference])
                #expect(
                    largestDifference(scores.numbers, try RougeFixtures.scores(expected)) < 1e-11,
                    "\(prediction.debugDescription) against \(reference.debugDescription)")
            }
        }
    }

    @Test("computes only the types it was made for")
    func chosenTypes() {
        let scores = RougeScorer(types: [.rougeL], useStemmer: false)
            .score(prediction: "a b c d", references: ["a c", "b c d"])
        #expect(scores == [.rougeL: RougeScore(precision: 0.75, recall: 1)])
    }
}
