import Diagnostics
import Metrics
import Testing
import Training

@Suite("Predictions") struct PredictionFileTests {
    private func parse(_ text: String) throws -> [ScoredText] {
        try rows(text).flatMap(\.texts)
    }

    private func rows(_ text: String) throws -> [PredictionFile.Row] {
        try Array(text.utf8).withUnsafeBytes { try PredictionFile.parse($0, name: "p.jsonl") }
    }

    private func message(_ text: String) -> String {
        do {
            return "\(try parse(text).count) texts"
        } catch {
            return "\(error)"
        }
    }

    @Test("are read line by line, with one reference or several") func lines() throws {
        let texts = try parse(
            """
            {"prediction": "a", "reference": "b"}\r

            {"references": ["c", "d"], "prompt": "?", "prediction": ""}
            """)
        #expect(
            texts == [
                ScoredText(prediction: "a", references: ["b"]), ScoredText(prediction: "", references: ["c", "d"]),
            ])
    }

    @Test("of several models make a row for each, in the order of their first lines") func models() throws {
        func line(_ adapter: String, _ text: String) -> String {
            #"{"adapter": \#(adapter), "prediction": "\#(text)", "reference": "r"}"# + "\n"
        }
        func text(_ prediction: String) -> ScoredText { ScoredText(prediction: prediction, references: ["r"]) }
        let found = try rows(line("null", "a") + line("\"x\"", "b") + line("null", "c"))
        #expect(
            found == [
                .init(isNamed: true, adapter: nil, texts: [text("a"), text("c")]),
                .init(isNamed: true, adapter: "x", texts: [text("b")]),
            ])
        #expect(try rows(#"{"prediction": "a", "reference": "r"}"#).map(\.isNamed) == [false])
    }

    @Test(
        "that can't be used are named by file and line, all at once",
        arguments: [
            ("", "p.jsonl: error: holds no predictions"),
            ("\n \n", "p.jsonl: error: holds no predictions"),
            (#"{"reference": "b"}"#, "p.jsonl:1:1: error: prediction: missing"),
            (#"{"prediction": "b"}"#, "p.jsonl:1:1: error: reference: missing"),
            (
                #"{"prediction": "a", "reference": 3}"#,
                "p.jsonl:1:34: error: reference: expected a string, got 3"
            ),
            (
                #"{"prediction": "a", "references": []}"#,
                "p.jsonl:1:35: error: references: is empty; give at least one reference"
            ),
            (
                #"{"prediction": "a", "reference": "b", "references": ["b"]}"#,
                "p.jsonl:1:53: error: references: stands beside 'reference'; give one of the two"
            ),
            (
                "{\"prediction\": \"a\", \"reference\": \"b\"}\n{\"adapter\": \"x\", \"prediction\": \"a\", \"reference\": \"b\"}",
                "p.jsonl:2:1: error: names an 'adapter', unlike the lines before: then it can't be told whose text this is"
            ),
            (
                #"{"adapter": 3, "prediction": "a", "reference": "b"}"#,
                "p.jsonl:1:13: error: adapter: expected a string, got 3"
            ),
            (
                "{\"prediction\": \"a\", \"reference\": \"b\"}\n[]\n{\"prediction\": 1}",
                """
                p.jsonl:2:1: error: expected an object, got an array
                p.jsonl:3:16: error: prediction: expected a string, got 1
                """
            ),
        ])
    func broken(text: String, expected: String) { #expect(message(text) == expected) }

    @Test("are scored on all threads as one by one") func scores() {
        let texts = (0..<50).map {
            ScoredText(prediction: "the cat number \($0) sat", references: ["a dog", "the cats number \($0 % 7)"])
        }
        let found = rouge(of: texts, RougeSettings(usesStemmer: true, seed: 3))
        let scorer = RougeScorer(types: RougeType.allCases, useStemmer: true)
        let expected = aggregate(
            texts.map { scorer.score(prediction: $0.prediction, references: $0.references) }, confidence: 0.95,
            resamples: 1000, seed: 3)
        #expect(found == expected)
    }
}
