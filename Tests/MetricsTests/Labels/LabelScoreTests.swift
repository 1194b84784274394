import FoundationEssentials
import JSONText
import Metrics
import TestSupport
import Testing

@Suite("Scores of labels") struct LabelScoreTests {
    private static let file = fixture("metrics/expected.json").path(percentEncoded: false)

    @Test("of classes are scikit-learn's")
    func classes() throws {
        let cases = try JSONNode.load(path: Self.file).array("labels")
        #expect(cases.count == 8)
        for (number, row) in cases.enumerated() {
            let scores = ClassificationScores(
                predicted: try row.array("predicted").map { try $0.asInteger() },
                expected: try row.array("expected").map { try $0.asInteger() }, classCount: try row.integer("classes"))
            func check(_ value: Double, _ name: String) throws {
                let expected = try row.number(name)
                #expect(abs(value - expected) <= 1e-12, "\(name) of case \(number): \(value), expected \(expected)")
            }
            try check(scores.accuracy, "accuracy")
            try check(scores.macroF1, "f1_macro")
            try check(scores.microF1, "f1_micro")
            try check(scores.weightedF1, "f1_weighted")
            try check(scores.matthewsCorrelation, "matthews")
            let binary = try row.optionalNumber("f1")
            #expect((scores.binaryF1 == nil) == (binary == nil))
            if let value = scores.binaryF1 { try check(value, "f1") }
        }
    }

    @Test("of each class count hits among answers and among texts, 0 where there are none")
    func eachClass() {
        let scores = ClassificationScores(predicted: [0, 0, 1, 0], expected: [0, 1, 1, 3], classCount: 4)
        #expect(scores.classes.map(\.precision) == [1.0 / 3, 1, 0, 0])
        #expect(scores.classes.map(\.recall) == [1, 0.5, 0, 0])
        #expect(scores.classes.map(\.f1) == [0.5, 2.0 / 3, 0, 0])
        #expect(scores.classes.map(\.support) == [1, 2, 0, 1])
        #expect(scores.confusion == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
        #expect(ClassificationScores(predicted: [20], expected: [0], classCount: 21).confusion == nil)
    }

    @Test("of numbers are scipy's")
    func values() throws {
        let cases = try JSONNode.load(path: Self.file).array("values")
        #expect(cases.count == 5)
        for row in cases {
            let x = try row.array("x").map { try $0.asNumber() }
            let y = try row.array("y").map { try $0.asNumber() }
            #expect(abs(try #require(pearsonCorrelation(x, y)) - (try row.number("pearson"))) <= 1e-12)
            #expect(abs(try #require(spearmanCorrelation(x, y)) - (try row.number("spearman"))) <= 1e-12)
        }
    }

    @Test("are none for constants and single values")
    func undefined() {
        #expect(pearsonCorrelation([1, 1, 1], [1, 2, 3]) == nil)
        #expect(spearmanCorrelation([1, 2, 3], [4, 4, 4]) == nil)
        #expect(pearsonCorrelation([1], [2]) == nil)
        #expect(spearmanCorrelation([], []) == nil)
    }
}
