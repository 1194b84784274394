import Datasets
import Metrics
import Testing
import Training

@Suite("Measures") struct MeasureTests {
    @Test("have one name each, and say which way is better") func names() throws {
        let names = Measure.all.map(\.name)
        #expect(Set(names).count == names.count)
        for name in ["loss", "accuracy", "f1", "rougeL", "bleu", "chrf", "exact_match"] {
            let measure = try Measure.named(name)
            #expect(measure.isGreaterBetter == (name != "loss"))
            #expect(try Measure.named("eval_" + name).name == name)
        }
        #expect(try Measure.named("rougeL").textMetric?.name == "rouge" && !Measure.named("rougeL").isOfLabels)
        #expect(try Measure.named("f1").textMetric?.name == "f1" && Measure.named("f1").isOfLabels)
        #expect(try Measure.named("loss").textMetric == nil)
        #expect(Measure.all.filter { !$0.isGreaterBetter }.map(\.name) == ["loss", "perplexity", "mse"])
        #expect(throws: (any Error).self) { try Measure.named("meteor") }
    }

    @Test("hold all that labels and texts are told by") func complete() {
        let names = Set(Measure.all.filter(\.isOfLabels).map(\.name))
        var classes = LabelAnswers()
        classes.add([0, 1], 1)
        #expect(names.isSuperset(of: classes.scores(LabelSet(names: ["a", "b"])).map(\.name)))
        var values = LabelAnswers()
        (values.predictedValues, values.expectedValues) = ([1, 2], [1, 3])
        #expect(names.isSuperset(of: values.scores(.regression).map(\.name)))
        let texts = Set(Measure.all.filter { $0.textMetric != nil }.map(\.name))
        #expect(texts == Set(textMetrics.flatMap { $0.valueNames }))
    }
}
