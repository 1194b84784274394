import FoundationEssentials
import JSONText
import TestSupport
import Testing
import Training

@Suite("Learning-rate schedules") struct LearningRateScheduleTests {
    @Test("give transformers' factors at every step, warm-up of none, all and more than all steps included")
    func factors() throws {
        let cases = try JSONNode.load(path: fixture("train/schedules.json").path(percentEncoded: false)).array("cases")
        #expect(cases.count == 28)
        for node in cases {
            let name = try node.string("name")
            let schedule = try #require(LearningRateSchedule(rawValue: name))
            let (warmup, total) = (try node.integer("warmup"), try node.integer("total"))
            for (step, factor) in try node.array("factors").enumerated() {
                let ours = schedule.factor(step: step, warmup: warmup, total: total)
                #expect(abs(ours - (try factor.asNumber())) <= 1e-12, "\(name), step \(step) of \(total)")
            }
        }
        #expect(Set(try cases.map { try $0.string("name") }) == Set(LearningRateSchedule.allCases.map(\.rawValue)))
    }
}
