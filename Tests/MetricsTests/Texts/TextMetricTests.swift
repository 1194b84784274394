import JSONText
import Metrics
import Testing

@Suite("Measures of texts") struct TextMetricTests {
    /// Each text alone: [sentence BLEU, corpus BLEU, chrF, exact match, F1].
    private func check(_ text: ScoredText, _ expected: JSONNode) throws {
        let scores = TextMetricFixtures.scores([text])
        let bleu = try #require(scores["bleu"])
        let found: [TextScore.Detail?] = [
            bleu.detail("sentence_score"), .number(bleu.value), scores["chrf"].map { .number($0.value) },
            scores["exact_match"].map { .number($0.value) }, scores["f1"].map { .number($0.value) },
        ]
        for (index, (value, node)) in zip(found, try expected.asArray()).enumerated() {
            guard case .number(let value) = try #require(value) else {
                Issue.record("no number")
                continue
            }
            let wanted = try node.asNumber()
            #expect(
                abs(value - wanted) <= 1e-9 * max(1, abs(wanted)),
                "\(index): \(value), expected \(wanted), of \(text.prediction.debugDescription) \(text.references)")
        }
    }

    private func checkCorpus(_ texts: [ScoredText], _ expected: JSONNode) throws {
        let scores = TextMetricFixtures.scores(texts)
        let bleu = try #require(scores["bleu"])
        let chrf = try #require(scores["chrf"])
        #expect(abs(bleu.value - (try expected.number("bleu"))) < 1e-9)
        #expect(abs(chrf.value - (try expected.number("chrf"))) < 1e-9)
        #expect(bleu.detail("counts") == .integers(try expected.array("counts").map { try $0.asInteger() }))
        #expect(bleu.detail("totals") == .integers(try expected.array("totals").map { try $0.asInteger() }))
        #expect(bleu.detail("sys_len") == .integer(try expected.integer("sys_len")))
        #expect(bleu.detail("ref_len") == .integer(try expected.integer("ref_len")))
        guard case .number(let penalty) = bleu.detail("bp"), case .numbers(let precisions) = bleu.detail("precisions")
        else {
            Issue.record("no numbers")
            return
        }
        #expect(abs(penalty - (try expected.number("bp"))) < 1e-9)
        for (value, node) in zip(precisions, try expected.array("precisions")) {
            #expect(abs(value - (try node.asNumber())) < 1e-9)
        }
        #expect(try bleu.signature == expected.string("bleu_signature"))
        #expect(try chrf.signature == expected.string("chrf_signature"))
    }

    @Test("are their references' on 1,000 pairs of E2E texts, and on all together") func pairs() throws {
        let root = try TextMetricFixtures.load("pairs.json")
        let texts = try TextMetricFixtures.pairs()
        #expect(texts.count == 1000)
        for (text, expected) in zip(texts, try root.array("pairs")) { try check(text, expected) }
        try checkCorpus(texts, try root.required("corpus"))
    }

    @Test("are sacrebleu's on a corpus with one reference or several") func several() throws {
        var predictions: [String] = []
        var references: [String: [String]] = [:]
        for text in try TextMetricFixtures.pairs() {
            if references[text.prediction] == nil { predictions.append(text.prediction) }
            references[text.prediction, default: []] += text.references
        }
        let texts = predictions.map {
            ScoredText(prediction: $0, references: Array(references[$0, default: []].prefix(5)))
        }
        try checkCorpus(texts, try TextMetricFixtures.load("pairs.json").required("several"))
    }

    @Test("are their references' on empty, equal, odd and foreign texts") func awkward() throws {
        let root = try TextMetricFixtures.load("awkward.json")
        let texts = try root.array("texts")
        #expect(texts.count == 103)
        for entry in texts { try check(try TextMetricFixtures.text(entry), try entry.asArray()[2]) }
        try checkCorpus(try texts.map(TextMetricFixtures.text), try root.required("corpus"))
    }

    @Test("say where corpus BLEU is 0 by its definition, and nowhere else") func short() throws {
        let node = try TextMetricFixtures.load("awkward.json").required("short")
        let texts = try node.array("texts").map(TextMetricFixtures.text)
        try checkCorpus(texts, try node.required("corpus"))
        func warning(_ texts: [ScoredText]) -> String? {
            TextMetricFixtures.scored(BLEU(TextMetricFixtures.settings), texts).warning
        }
        #expect(
            warning(texts)
                == "corpus BLEU is 0 by its definition: no prediction has 4 words, and it multiplies what was right of "
                + "sequences of 1 to 4 words. For short answers take exact_match, f1 or chrf")
        #expect(warning([ScoredText(prediction: "a", references: ["b"])]) == nil)
        #expect(warning(texts + [ScoredText(prediction: "a b c d", references: ["e"])]) == nil)
        #expect(warning(try TextMetricFixtures.pairs()) == nil)
    }

    @Test("count an answer as right that is a reference but for white space at its ends") func accuracy() {
        let texts = [
            ScoredText(prediction: " yes\n", references: ["no", "yes"]),
            ScoredText(prediction: "Yes", references: ["yes"]),
            ScoredText(prediction: "", references: [" "]), ScoredText(prediction: "cafe\u{301}", references: ["café"]),
        ]
        #expect(TextMetricFixtures.scores(texts)["accuracy"]?.value == 0.5)
    }

    @Test("have different names, and those of their values") func names() {
        #expect(textMetrics.map { $0.name } == ["rouge", "bleu", "chrf", "exact_match", "f1", "accuracy"])
        let text = ScoredText(prediction: "a b", references: ["a c"])
        for type in textMetrics {
            #expect(
                TextMetricFixtures.scored(type.init(TextMetricFixtures.settings), [text]).scores.map(\.name)
                    == type.valueNames)
        }
        let values = textMetrics.flatMap { $0.valueNames }
        #expect(Set(values).count == values.count)
    }
}
