import Checkpoints
import Datasets
import JSONText
import Methods
import Metrics
import Testing
import Training

@Suite("Texts in evaluations") struct TextEvaluationTests {
    private let training: TinyTraining
    private let changes: [String]

    init() throws {
        training = try TinyTraining()
        // Each prompt twice, with two answers.
        let lines = (0..<10).map { #"{"q": "\#($0 % 5)", "a": "near \#($0)"}"# }
        try training.scratch.write(lines.joined(separator: "\n") + "\n", to: "validation.jsonl")
        changes = [
            "data.validation=\(training.scratch("validation.jsonl"))", "training.eval_steps=5", "training.save_steps=5",
            "training.generation_max_new_tokens=6",
        ]
    }

    /// What the adapter in a folder gets for the prompts of those numbers.
    private func scores(_ place: String, of prompts: [Int], beams: Int = 1) throws -> [NamedScore] {
        let base = try BaseModel.load(training.scratch("model"), randomSeed: 42, warn: { _ in })
        _ = try base.install(
            AdapterFolder(path: training.scratch(place), warn: { _ in }),
            InstallationContext(seed: 7, basePath: "", isTraining: false))
        let codec = try PromptCodec(base, shots: nil, hasPlaces: false)
        var settings = GenerationSettings(maximumNewTokens: 6, sampling: nil)
        if beams > 1 {
            settings.beams = BeamSettings(count: beams, lengthPenalty: 1, earlyStopping: .no, returnedCount: 1)
        }
        var scoring = TextScoring(
            [ChrF.self, ExactMatch.self], TextMetricSettings(usesStemmer: true, seed: 42))
        for prompt in prompts {
            let ids = try codec.ids(of: PlacedText("\(prompt)="))
            let found = try Generator(base, settings: settings).generate([ids], firstIndex: 0)
            scoring.add(
                ScoredText(
                    prediction: codec.answer(found[0], to: ids), references: ["near \(prompt)", "near \(prompt + 5)"]))
        }
        return (scoring.finish()?.scores ?? []).map { NamedScore($0.name, $0.value) }
    }

    @Test("get what the adapter that is saved at that step gets, in the log too, and change no bit of the training")
    func value() throws {
        let rate = "training.learning_rate=0.3"
        let run = try training.run(changes + [rate, "training.eval_metrics=[exact_match, chrf]"])
        #expect(run.evaluated.map(\.step) == [5, 10, 12])
        #expect(
            run.plan?.dataSummaries.contains(
                "evaluations generate for all prompts and score the texts by chrf, exact_match")
                == true)
        for metrics in run.evaluated {
            let place = metrics.step == 12 ? "run" : "run/checkpoints/step-\(metrics.step)"
            #expect(metrics.scores.map(\.name) == ["chrf", "exact_match"])
            #expect(try metrics.scores == scores(place, of: Array(0..<5)))
        }
        #expect(Set(run.evaluated.map { $0.scores[0].value }).count > 1)
        let logged = try training.lines("run").filter { $0.member("eval_loss") != nil }
        #expect(try logged.map { try $0.number("eval_chrf") } == run.evaluated.map { $0.scores[0].value })
        try training.run([rate], into: "without")
        #expect(
            try training.bytes("run/adapter_model.safetensors") == training.bytes("without/adapter_model.safetensors"))
    }

    @Test("are of prompts that the seed draws, and found by beams where these are asked for") func sample() throws {
        let run = try training.run(
            changes + [
                "training.eval_metrics=[chrf, exact_match]", "training.eval_generation_samples=2",
                "training.generation_num_beams=3",
            ])
        #expect(
            run.plan?.dataSummaries.contains(
                "evaluations generate for 2 of 5 prompts and score the texts by chrf, exact_match") == true)
        let drawn = permutation(of: 5, seed: 42, epoch: 0).prefix(2).map { Int($0) }.sorted()
        #expect(try run.evaluated.last?.scores == scores("run", of: drawn, beams: 3))
    }

    @Test("tell which model is the best, in a run that is stopped and resumed too") func best() throws {
        let best =
            changes + [
                "training.metric_for_best_model=eval_chrf", "training.load_best_model_at_end=true",
                "training.eval_steps=1",
                "training.lr_scheduler_type=constant", "training.learning_rate=30",
            ]
        let run = try training.run(best)
        let values = run.evaluated.map { $0.scores[0].value ?? 0 }
        let step = try #require(values.indices.max { values[$0] < values[$1] }) + 1
        let first = try #require(values.firstIndex(of: values[step - 1])) + 1
        #expect(run.summary?.best?.step == first)
        #expect(run.summary?.best?.metric == "eval_chrf" && run.summary?.best?.value == values[first - 1])
        #expect(first < 12, "the last step is the best, so that nothing is tested")
        try training.run(best, into: "parts", stoppingAfter: 7)
        try training.run(best, into: "parts", .resume)
        #expect(
            try training.bytes("run/adapter_model.safetensors") == training.bytes("parts/adapter_model.safetensors"))
        #expect(try training.metrics("run") == training.metrics("parts"))
    }

    @Test("are ROUGE's without a name, and of a part of the training data's records too") func fraction() throws {
        let run = try training.run([
            "data.validation_fraction=0.3", "training.predict_with_generate=true", "training.generation_max_length=12",
        ])
        #expect(run.evaluated.first?.scores.map(\.name) == ["rouge1", "rouge2", "rougeL", "rougeLsum"])
        let count = try #require(run.plan?.dataSummaries.first { $0.hasPrefix("evaluations generate") })
        #expect(count.hasPrefix("evaluations generate for all prompts and score the texts by rouge"))
    }

    @Test(
        "can't be had without prompts or an evaluation, nor by a measure that there is none of",
        arguments: [
            (
                ["training.eval_metrics=rouge", "data.validation=null"],
                "--set training.eval_metrics=rouge: error: training.eval_metrics: needs data to evaluate on: give "
                    + "data.validation or data.validation_fraction"
            ),
            (
                ["training.predict_with_generate=true", "training.eval_strategy=no"],
                "--set training.predict_with_generate=true: error: training.predict_with_generate: needs evaluations, and "
                    + "with eval_strategy: no there are none"
            ),
            (
                ["training.eval_metrics=[rouge, rougue]"],
                "--set training.eval_metrics=[rouge, rougue]: error: training.eval_metrics: there is no measure 'rougue'; "
                    + "the measures are rouge, bleu, chrf, exact_match, f1, accuracy"
            ),
            (
                ["training.eval_metrics=bleu", "data.prompt=null", "data.completion=null", "data.text={q}"],
                "--set training.eval_metrics=bleu: error: training.eval_metrics: compares completions of prompts: the data "
                    + "has text only"
            ),
            (
                ["training.eval_metrics=bleu", "training.predict_with_generate=false"],
                "--set training.eval_metrics=bleu: error: training.eval_metrics: are of texts that are generated, and "
                    + "predict_with_generate is false"
            ),
            (
                ["training.metric_for_best_model=rougeL", "training.predict_with_generate=false"],
                "--set training.metric_for_best_model=rougeL: error: training.metric_for_best_model: nothing here is "
                    + "measured by 'rougeL'; there are loss"
            ),
            (
                ["training.eval_metrics=bleu", "training.generation_max_length=1"],
                "--set training.generation_max_length=1: error: training.generation_max_length: leaves no room for a text "
                    + "behind any prompt, whose tokens count: give generation_max_new_tokens, or a greater length"
            ),
        ])
    func problems(settings: [String], message: String) throws {
        #expect(training.failure(changes.filter { !$0.contains("generation_max") } + settings) == message)
    }
}
