import Checkpoints
import Configuration
import Diagnostics
import Foundation
import Testing
import Training

@Suite("The templates of a training") struct TrainedTemplatesTests {
    private let training: TinyTraining

    init() throws {
        training = try TinyTraining()
        try training.run(["model.init=random", "training.max_steps=2", "peft.method=full"], into: "base")
        try train("one", #"{q}="#)
    }

    private func train(_ name: String, _ prompt: String) throws {
        try training.run(
            [
                "model.init=pretrained", "model.path=\(training.scratch("base"))", "training.max_steps=2",
                "data.prompt=\"\(prompt)\"", "data.max_length=30",
                "data.validation=\(training.scratch("validation.jsonl"))",
            ], into: name)
    }

    private func merged(_ adapters: [String], into output: String = "merged") throws -> [String] {
        var warnings: [String] = []
        _ = try merge(
            MergeSettings(
                base: training.scratch("base"),
                adapters: adapters.map { .init(path: training.scratch($0), weight: 1) },
                output: training.scratch(output), elementType: nil, overwrites: false),
            warn: { warnings.append($0.description) })
        return warnings
    }

    private func prompt(_ folder: String) throws -> String? {
        try TrainedTemplates.document(in: training.scratch(folder))?.root.section("data").optionalString("prompt")
    }

    private let expected = """
        # What this was trained with: peft eval, and peft generate --as-trained, read the templates here.
        task: causal_lm
        data:
          prompt: "{q}="
          completion: "{a}"
          max_length: 30
          max_length_policy: error

        """

    @Test("go with a merged model, without the files of the training")
    func merging() throws {
        #expect(try merged(["one"]) == [])
        #expect(try training.scratch.text("merged/peft_templates.yaml") == expected)
        #expect(try prompt("merged") == "{q}=")
        // Not the base's, which it was copied from.
        #expect(try !training.scratch.names("merged").contains("training_config.yaml"))
    }

    @Test("go on from a merged model that is merged again, or written in another type")
    func again() throws {
        _ = try merged(["one"])
        _ = try merge(
            MergeSettings(
                base: training.scratch("merged"), adapters: [], output: training.scratch("half"),
                elementType: .bfloat16,
                overwrites: false), warn: { Issue.record($0) })
        #expect(try training.scratch.text("half/peft_templates.yaml") == expected)
        try training.run(
            [
                "model.init=pretrained", "model.path=\(training.scratch("merged"))", "training.max_steps=2",
                "peft.method=full",
            ],
            into: "tuned")
        #expect(try !training.scratch.names("tuned").contains("peft_templates.yaml"))
        #expect(try prompt("tuned") == "{q}=")
    }

    @Test("go with a converted adapter") func converting() throws {
        _ = try convert(
            ConversionSettings(
                base: training.scratch("base"), source: .adapter(training.scratch("one")), rank: 2,
                output: training.scratch("converted")), warn: { Issue.record($0) })
        #expect(try training.scratch.text("converted/peft_templates.yaml") == expected)
    }

    @Test("go with none of several adapters that have different ones, which is said")
    func different() throws {
        try train("two", "{q} is")
        try train("three", "{q}=")
        let one = training.scratch("one")
        #expect(
            try merged(["one", "two"]) == [
                "warning: '\(one)' and '\(training.scratch("two"))' were trained with different templates, so none go with "
                    + "the result: give them to eval and generate"
            ])
        #expect(try prompt("merged") == nil)
        #expect(try merged(["one", "three"], into: "equal") == [])
        #expect(try prompt("equal") == "{q}=")
    }
}
