import FoundationEssentials
import JSONText
import TestSupport
import Testing
import Training

@Suite("The best evaluation") struct BestRecordTests {
    @Test("and the failures since are Trainer's, for every course, NaN and equals included")
    func courses() throws {
        let cases = try JSONNode.load(path: fixture("train/best_model.json").path(percentEncoded: false)).array("cases")
        #expect(cases.count == 25)
        for node in cases {
            var record = BestRecord()
            var stop: Int?
            for (index, row) in try node.array("best_and_failures").enumerated() {
                let value = try node.array("values")[index]
                record.add(
                    value.isNull ? .nan : try value.asNumber(), step: index + 1,
                    greaterIsBetter: try node.required("greater").asBoolean(), threshold: try node.number("threshold"))
                let expected = try row.asArray()
                #expect(record.step == (expected[0].isNull ? nil : try expected[0].asInteger()))
                #expect(record.failures == (try expected[1].asInteger()))
                if stop == nil, record.failures >= (try node.integer("patience")) { stop = index + 1 }
            }
            #expect(stop == (try node.optionalInteger("stop")))
        }
    }
}
