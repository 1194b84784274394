import JSONText
import Metrics
import Testing

@Suite("Tokenizer 13a") struct Tokenizer13aTests {
    @Test("cuts texts as sacrebleu's does") func tokens() throws {
        let entries = try TextMetricFixtures.load("tokens.json").asArray()
        #expect(entries.count > 250)
        for entry in entries {
            let text = try entry.asArray()[0].asString()
            let expected = try entry.asArray()[1].asArray().map { Array(try $0.asString().utf8) }
            #expect(Tokenizer13a.tokens(of: text).map { Array($0) } == expected, "\(text.debugDescription)")
        }
    }
}
