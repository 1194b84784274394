import Diagnostics
import Metrics
import Testing
import Training

@Suite("Predictions") struct PredictionFileTests {
    /// What stands in the lines: whether they name a model, which, and the text.
    private struct Line: Hashable {
        var isNamed: Bool
        var adapter: String?
        var text: ScoredText
    }

    private func lines(_ text: String) throws -> [Line] {
        var lines: [Line] = []
        try Array(text.utf8).withUnsafeBytes {
            try PredictionFile.forEachText($0, name: "p.jsonl") { isNamed, adapter, text in
                lines.append(Line(isNamed: isNamed, adapter: adapter, text: text))
            }
        }
        return lines
    }

    private func parse(_ text: String) throws -> [ScoredText] { try lines(text).map(\.text) }

    private let scoring = TextScoring([ROUGE.self, BLEU.self], TextMetricSettings(usesStemmer: true, seed: 3))

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
        let text = line("null", "a") + line("\"x\"", "b") + line("null", "c")
        #expect(try lines(text).map(\.adapter) == [nil, "x", nil])
        var rows = try Array(text.utf8).withUnsafeBytes {
            try PredictionFile.score($0, name: "p.jsonl", by: scoring)
        }
        #expect(rows.map(\.adapter) == [nil, "x"] && rows.allSatisfy(\.isNamed))
        let counts = rows.indices.map { rows[$0].scoring.finish()?.texts }
        #expect(counts == [2, 1])
        #expect(try lines(#"{"prediction": "a", "reference": "r"}"#).map(\.isNamed) == [false])
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
        let texts = (0..<600).map {
            ScoredText(prediction: "the cat number \($0) sat", references: ["a dog", "the cats number \($0 % 7)"])
        }
        var found = scoring
        for text in texts { found.add(text) }
        var expected: (rouge: ROUGE, bleu: BLEU) = (
            ROUGE(TextMetricSettings(usesStemmer: true, seed: 3)), BLEU(TextMetricSettings(usesStemmer: true, seed: 3))
        )
        for text in texts {
            expected.rouge.add(expected.rouge.statistics(of: text))
            expected.bleu.add(expected.bleu.statistics(of: text))
        }
        let result = found.finish()
        #expect(result?.scores == expected.rouge.scores + expected.bleu.scores && result?.texts == 600)
        var none = scoring
        #expect(none.finish() == nil)
    }

    @Test("are scored by the measures that are named, in their own order")
    func names() throws {
        #expect(try Training.textMetrics(named: "f1, bleu,f1").map { $0.name } == ["bleu", "f1"])
        func message(_ list: String) -> String {
            do { return "\(try Training.textMetrics(named: list).count)" } catch { return "\(error)" }
        }
        let known = "the measures are rouge, bleu, chrf, exact_match, f1, accuracy"
        #expect(message("rouge,meteor") == "error: there is no measure 'meteor'; \(known)")
        #expect(message("rouge,") == "error: a name is missing in 'rouge,'; \(known)")
        #expect(message("") == "error: a name is missing in ''; \(known)")
    }
}
