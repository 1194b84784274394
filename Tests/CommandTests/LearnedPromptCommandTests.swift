import Foundation
import JSONText
import Testing

@Suite("A learned prompt on the command line") struct LearnedPromptCommandTests {
    static let methods: [[String]] = [
        ["prompt_tuning", "peft.prompt_tuning_init=TEXT", "peft.prompt_tuning_init_text=add"], ["prefix_tuning"],
        ["prefix_tuning", "peft.prefix_projection=true"], ["p_tuning"],
        ["p_tuning", "peft.virtual_token_placement=template", "data.prompt='[P2]{q} is[P1]'"], ["p_tuning_v2"],
    ]

    private func train(_ run: TinyRun, _ settings: [String]) throws -> Outcome {
        let changes = ["peft={method: \(settings[0]), num_virtual_tokens: 3}"] + settings.dropFirst()
        return try RunningTool(run.arguments + changes.flatMap { ["--set", $0] }).outcome()
    }

    /// Stores the run's base, a random one, which has no files of its own.
    private func makeBase(_ run: TinyRun, _ path: String) throws {
        let made = try RunningTool(
            run.arguments + [
                "--set", "peft={method: full}", "--set", "training.output_dir=\(path)", "--set",
                "training.learning_rate=0",
            ]
        ).outcome()
        #expect(made.status == 0, "\(made.errors)")
    }

    @Test("is trained, evaluated, used and looked at, but not merged", arguments: methods)
    func everything(_ settings: [String]) throws {
        let run = try TinyRun()
        let outcome = try train(run, settings)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let base = "\(run.folder.path)/base"
        try makeBase(run, base)
        let adapter = "\(run.folder.path)/run"
        let models = ["--base", base, "--adapter", adapter]
        let evaluation = try RunningTool(["eval"] + models + ["--json", "--compare-base", "--rouge"]).outcome()
        #expect(evaluation.status == 0, "\(evaluation.errors)")
        let rows = try JSONNode.parse(evaluation.output).array("rows")
        #expect(rows.count == 2)
        #expect(try rows[0].number("loss") != rows[1].number("loss"))
        let generated = try RunningTool(
            ["generate"] + models + ["--as-trained", "--prompt", "3", "--json", "--max-new-tokens", "4"]
        ).outcome()
        #expect(generated.status == 0 && generated.output.contains("completion"), "\(generated.errors)")
        let inspected = try peft("inspect", adapter)
        #expect(inspected.status == 0 && inspected.output.contains("num_virtual_tokens"), "\(inspected.errors)")
        let examined = try peft("doctor", adapter, "--base", "\(run.folder.path)/base")
        #expect(examined.status == 0, "\(examined.output)")
        let merged = try peft(
            "merge", "--base", base, "--adapter", adapter, "--output", base + "-merged")
        #expect(
            merged.errors.contains(
                "can't be merged: a learned prompt is part of the sequences and not of the weights; use the adapter "
                    + "beside its base model"))
        #expect(merged.status != 0)
    }

    @Test("whose tokens have places needs them in the prompt")
    func places() throws {
        let run = try TinyRun()
        let settings = ["p_tuning", "peft.virtual_token_placement=template", "data.prompt='[P2]{q} is'"]
        let outcome = try train(run, settings)
        #expect(outcome.status == 65)
        #expect(
            outcome.errors == """
                --set data.prompt='[P2]{q} is': error: data.prompt: has places for 2 virtual tokens, but there are 3 (num_virtual_tokens): [P3] in the \
                template is a place for three

                """)
    }

    @Test(
        "beside a head is evaluated as during training",
        arguments: [
            ["prompt_tuning"], ["prefix_tuning"], ["p_tuning"], ["p_tuning_v2"],
            ["p_tuning", "peft.virtual_token_placement=template", "data.text='[P2]{q} or[P1] {a}'"],
        ])
    func classification(_ settings: [String]) throws {
        let run = try TinyRun()
        let base = "\(run.folder.path)/base"
        try makeBase(run, base)
        let trained = try train(
            run,
            [
                settings[0], "task=sequence_classification", "data.prompt=null", "data.completion=null",
                "data.text=\"{q} or {a}\"", "data.label={q}", "training.eval_steps=3", "model={path: \(base)}",
            ] + settings.dropFirst())
        #expect(trained.status == 0, "\(trained.errors)")
        let last = try run.folder.text("run/metrics.jsonl").split(separator: "\n").map {
            try JSONNode.parse(String($0))
        }.last { try $0.optional("eval_loss") != nil }
        let logged = try #require(last)
        let evaluation = try peft("eval", "--config", "\(run.folder.path)/run/training_config.yaml", "--json")
        #expect(evaluation.status == 0, "\(evaluation.errors)")
        let found = try JSONNode.parse(evaluation.output)
        #expect(abs(try found.number("loss") - logged.number("eval_loss")) < 1e-6)
        for name in ["accuracy", "f1_macro", "f1_micro", "f1_weighted", "matthews_correlation"] {
            #expect(try found.number(name) == logged.number("eval_" + name), "\(name)")
        }
    }

    @Test("takes what looks like a place in the data for text, in training and wherever it is used")
    func placesInData() throws {
        let run = try TinyRun()
        let records = (0..<6).map { #"{"q": "\#($0)[P1]", "a": "\#($0 % 5)"}"# }
        let data = try run.folder.write(records.joined(separator: "\n") + "\n", to: "places.jsonl").relativePath
        let base = "\(run.folder.path)/base"
        try makeBase(run, base)
        let adapter = "\(run.folder.path)/run"
        let trained = try train(
            run,
            [
                "p_tuning", "peft.virtual_token_placement=template", "data.prompt='[P2]{q} is[P1]'",
                "model={path: \(base)}", "data.train=\(data)", "data.validation=\(data)",
            ])
        #expect(trained.status == 0, "\(trained.errors)")
        let logged = try run.folder.text("run/metrics.jsonl").split(separator: "\n").map {
            try JSONNode.parse(String($0))
        }.last { try $0.optional("eval_loss") != nil }

        let predictions = "\(run.folder.path)/predictions.jsonl"
        let evaluation = try peft(
            "eval", "--adapter", adapter, "--json", "--rouge", "--max-new-tokens", "4", "--save-predictions",
            predictions)
        #expect(evaluation.status == 0, "\(evaluation.errors)")
        let loss = try JSONNode.parse(evaluation.output).number("loss")
        #expect(abs(try loss - #require(logged).number("eval_loss")) < 1e-6)
        let lines = try run.folder.text("predictions.jsonl").split(separator: "\n").map {
            try JSONNode.parse(String($0))
        }
        #expect(try lines.map { try $0.string("prompt") } == (0..<6).map { "[P2]\($0)[P1] is[P1]" })

        let generated = try peft(
            "generate", "--adapter", adapter, "--as-trained", "--prompt", "3[P1]", "--json", "--max-new-tokens", "4")
        #expect(generated.status == 0, "\(generated.errors)")
        let line = try JSONNode.parse(generated.output)
        #expect(try line.string("prompt") == "[P2]3[P1] is[P1]")
        #expect(try line.string("completion") == lines[3].string("prediction"))
        let bare = try peft("generate", "--adapter", adapter, "--prompt", "3[P1]")
        #expect(bare.status == 65)
        #expect(
            bare.errors == """
                error: the prompt has a place for 1 virtual token, but the adapter has 3: write [P3] for three of them \
                where the template of the training had them, or give --as-trained

                """)
    }

    @Test("in front warns of a prompt with places, which are text there")
    func placesInFront() throws {
        let run = try TinyRun()
        let outcome = try train(run, ["p_tuning", "data.prompt='[P3]{q} is'"])
        #expect(outcome.status == 0)
        #expect(
            outcome.errors.hasPrefix(
                """
                --set data.prompt='[P3]{q} is': warning: data.prompt: [P3] and the like are text here: the virtual tokens \
                stand in front, unless p_tuning is told to place them (virtual_token_placement: template)

                """), "\(outcome.errors)")
    }

    @Test("that fills the context is an error before anything is written")
    func context() throws {
        let run = try TinyRun()
        let outcome = try RunningTool(
            run.arguments + ["--set", "peft={method: prefix_tuning, num_virtual_tokens: 31}"]
        ).outcome()
        #expect(outcome.status == 65)
        #expect(
            outcome.errors.contains(
                "31 virtual tokens leave no room for a text: the model takes 32 tokens in all (n_positions)"))
        let long = try RunningTool(
            run.arguments + ["--set", "peft={method: prefix_tuning, num_virtual_tokens: 29}"]
        ).outcome()
        #expect(long.status == 65)
        #expect(
            long.errors == """
                \(run.folder.path)/data.jsonl:1:1: error: 5 tokens are more than what the model takes beside 29 virtual \
                tokens (3): choose a max_length_policy (drop, keep_prompt_start, keep_prompt_end); it is so in all 24 \
                records

                """)
        #expect(!FileManager.default.fileExists(atPath: "\(run.folder.path)/run"))
    }
}
