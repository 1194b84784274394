import Foundation
import JSONText
import Testing

@Suite("peft merge --combine") struct CombineCommandTests {
    private let small: SmallModel

    init() throws { small = try SmallModel() }

    private func merge(_ arguments: String...) throws -> Outcome {
        try RunningTool(["merge", "--output", small.path("out")] + arguments).outcome()
    }

    @Test("writes an adapter that evaluates as the merged changes do, and says how far it is from their sum")
    func adapter() throws {
        let both = ["--adapter", small.path("a") + ":0.5", "--adapter", small.path("b") + ":-0.25"]
        let outcome = try RunningTool(["merge", "--combine", "cat", "--output", small.path("out")] + both).outcome()
        #expect(outcome.status == 0 && outcome.output == small.path("out") + "\n")
        #expect(
            outcome.errors.contains(
                /\ACombined 2 adapters into one of rank 4 in 2 modules; the logits of probe prompts differ by [0-9.]+e-[0-9]+ of the largest at most \(accepted: 1\.00e-4\)\.\n\z/
            ))
        let names = try FileManager.default.contentsOfDirectory(atPath: small.path("out")).sorted()
        #expect(names == ["adapter_config.json", "adapter_model.safetensors"])
        _ = try RunningTool(["merge", "--quiet", "--output", small.path("merged")] + both).outcome()
        let (combined, merged) = try (
            small.loss(["--adapter", small.path("out")]), small.loss(["--base", small.path("merged")])
        )
        #expect((combined - merged).magnitude < 1e-5)

        let model = try RunningTool(
            ["merge", "--combine", "cat", "--into-base", "--output", small.path("model-of-both")] + both
        ).outcome()
        #expect(model.status == 0)
        #expect(model.errors.contains("Combined 2 adapters into one of rank 4 in 2 modules; "))
        #expect(model.errors.contains("Merged into 2 of 28 tensors; "))
        #expect((try small.loss(["--base", small.path("model-of-both")]) - merged).magnitude < 1e-5)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: small.folder.path).filter { $0.hasPrefix(".") } == [])

        let ties = try RunningTool(
            ["merge", "--combine", "ties", "--density", "0.5", "--output", small.path("ties")] + both
        ).outcome()
        #expect(
            ties.errors.contains(
                /From those of the plain sum of the changes they differ by [0-9.]+e-?[0-9]+ of the largest\.\n\z/))
    }

    @Test(
        "refuses options that mean nothing together",
        arguments: [
            (["--density", "0.5"], "--density says how adapters are combined: give --combine too"),
            (["--into-base"], "--into-base says how adapters are combined: give --combine too"),
            (["--combine", "ties"], "--combine ties: say by --density which share of the numbers is kept, as 0.5"),
            (["--combine", "ties", "--density", "0"], "--density must be above 0 and at most 1, got 0.0"),
            (["--combine", "ties", "--density", "1.5"], "--density must be above 0 and at most 1, got 1.5"),
            (["--combine", "ties", "--density", "nan"], "--density must be above 0 and at most 1, got nan"),
            (["--combine", "linear", "--density", "0.5"], "--density: linear keeps all numbers"),
            (
                ["--combine", "cat", "--majority-sign-method", "total"],
                "--majority-sign-method: cat elects no signs"
            ),
            (
                ["--combine", "linear", "--svd-rank", "3"],
                "--svd-rank: linear brings nothing down, as the types do that end in svd"
            ),
            (["--combine", "svd", "--svd-rank", "0"], "--svd-rank must be at least 1, got 0"),
            (["--combine", "svd", "--seed", "3"], "--seed: svd draws nothing at random"),
            (
                ["--combine", "svd", "--dtype", "float16"],
                "--dtype concerns a model, and --combine svd writes an adapter: give --into-base too"
            ),
            (
                ["--combine", "svd", "--overwrite"],
                "--overwrite concerns a model, and --combine svd writes an adapter: give --into-base too"
            ),
        ])
    func usage(options: [String], message: String) throws {
        let outcome = try RunningTool(
            ["merge", "--output", small.path("out"), "--adapter", small.path("a"), "--adapter", small.path("b")]
                + options
        ).outcome()
        #expect(outcome.status == 64 && outcome.output == "")
        #expect(outcome.errors.hasPrefix("Error: \(message)\n"))
    }

    @Test("refuses one adapter, another method's, a place that is taken, and an unknown type") func errors() throws {
        let one = try merge("--combine", "cat", "--adapter", small.path("a"))
        #expect(one.errors.hasPrefix("Error: --combine: one adapter is combined with nothing: give two at least\n"))
        let none = try merge("--combine", "cat", "--base", small.model)
        #expect(
            none.errors.hasPrefix("Error: --combine: give the adapters, as --adapter DIR:WEIGHT, two at least\n"))
        let unknown = try merge("--combine", "sum", "--adapter", small.path("a"), "--adapter", small.path("b"))
        #expect(unknown.status == 64 && unknown.errors.contains("'sum'") && unknown.errors.contains("dare_ties_svd"))
        let taken = try RunningTool([
            "merge", "--combine", "cat", "--adapter", small.path("a"), "--adapter", small.path("b"), "--output",
            small.path("b"),
        ]).outcome()
        #expect(taken.status == 73)
        #expect(taken.errors == "\(small.path("b")): error: there is something already: choose another folder\n")
        try small.folder.write(
            """
            {"peft_type": "IA3", "task_type": "CAUSAL_LM", "base_model_name_or_path": "\(small.model)",
             "target_modules": ["c_attn"], "feedforward_modules": []}
            """, to: "c/adapter_config.json")
        try FileManager.default.copyItem(
            atPath: small.path("a/adapter_model.safetensors"), toPath: small.path("c/adapter_model.safetensors"))
        let other = try merge("--combine", "cat", "--adapter", small.path("a"), "--adapter", small.path("c"))
        #expect(other.status == 65)
        #expect(
            other.errors
                == "\(small.path("c")): error: an adapter of the method ia3 can't be combined, as lora's can: 'peft convert' "
                + "makes a LoRA adapter of one that merges\n")
    }
}
