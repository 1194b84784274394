import FoundationEssentials
import Metrics
import TestSupport
import Testing

@Suite("The Porter stemmer") struct PorterStemmerTests {
    @Test("stems 2,960 real and made-up words as NLTK does")
    func reference() throws {
        let text = try String(contentsOf: fixture("rouge/stems.txt"), encoding: .utf8)
        let lines = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(lines.count == 2960)
        let wrong = lines.filter { PorterStemmer.stem($0[0]) != $0[1] }.map { "\($0) \(PorterStemmer.stem($0[0]))" }
        #expect(wrong == [])
    }

    @Test(
        "follows the examples of the paper and of NLTK's extensions",
        arguments: [
            ("caresses", "caress"), ("ponies", "poni"), ("ties", "tie"), ("feed", "feed"), ("agreed", "agre"),
            ("plastered", "plaster"), ("hopping", "hop"), ("falling", "fall"), ("filing", "file"), ("happy", "happi"),
            ("enjoy", "enjoy"), ("relational", "relat"), ("radically", "radic"), ("archaeology", "archaeolog"),
            ("adoption", "adopt"), ("controlling", "control"), ("rolling", "roll"), ("skies", "sky"), ("by", "by"),
        ])
    func examples(word: String, stem: String) {
        #expect(PorterStemmer.stem(word) == stem)
    }
}
