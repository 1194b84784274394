import JSONText
import Metrics
import Testing

@Suite("Answers as SQuAD compares them") struct AnswerTextTests {
    @Test("are what its script makes of them") func normalized() throws {
        let entries = try TextMetricFixtures.load("answers.json").asArray()
        #expect(entries.count > 250)
        for entry in entries {
            let (text, expected) = (try entry.asArray()[0].asString(), try entry.asArray()[1].asString())
            #expect(Array(AnswerText(text).text.utf8) == Array(expected.utf8), "\(text.debugDescription)")
        }
    }
}
