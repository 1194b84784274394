import Checkpoints
import JSONText
import Tensors
import TestSupport
import Testing

/// Weights that are numbers, and so large that what is calculated with them isn't.
@Suite("Results that are no finite numbers") struct NonFiniteResultTests {
    private let small: SmallModel
    private var adapter: String { small.path("huge") }

    init() throws { small = try SmallModel() }

    private func makeAdapter(isClassifier: Bool) throws {
        try small.folder.write("", to: "huge/.keep")
        let module = "base_model.model.transformer.h.0.attn.c_attn"
        func tensor(_ name: String, _ shape: [Int], _ value: Float) -> OutgoingTensor {
            let count = shape.reduce(1, *)
            return OutgoingTensor(name, Tensor([Float](repeating: value, count: count), shape: shape), as: .float32)
        }
        let head = isClassifier ? [tensor("base_model.model.score.weight", [2, 16], 1)] : []
        try AdapterFolder.write(
            configuration: [
                "peft_type": "LORA", "task_type": isClassifier ? "SEQ_CLS" : "CAUSAL_LM",
                "base_model_name_or_path": .string(small.model), "r": 2, "lora_alpha": 4, "target_modules": ["c_attn"],
                "fan_in_fan_out": true, "modules_to_save": isClassifier ? ["score"] : nil,
            ],
            tensors: [
                tensor("\(module).lora_A.weight", [2, 16], 3e38), tensor("\(module).lora_B.weight", [48, 2], 3e38),
            ] + head, to: adapter)
    }

    @Test(
        "end generation with an error",
        arguments: [["--prompt", "abc"], ["--prompt", "abc", "--temperature", "1", "--top-k", "3", "--json"]])
    func generation(arguments: [String]) throws {
        try makeAdapter(isClassifier: false)
        let outcome = try RunningTool(["generate", "--adapter", adapter] + arguments).outcome()
        #expect(outcome.status == 65 && outcome.output == "")
        #expect(outcome.errors.contains("error: "))
    }

    @Test("end an evaluation with an error", arguments: [[], ["--rouge", "--json"]])
    func evaluation(arguments: [String]) throws {
        try makeAdapter(isClassifier: false)
        try small.folder.write("{\"q\": \"a\", \"a\": \"b\"}", to: "data.jsonl")
        let outcome = try RunningTool(
            [
                "eval", "--adapter", adapter, "--data", small.path("data.jsonl"), "--prompt", "{q}", "--completion",
                "{a}", "--save-predictions", small.path("predictions.jsonl"),
            ] + (arguments.isEmpty ? ["--rouge"] : arguments)
        ).outcome()
        #expect(outcome.status == 65 && outcome.output == "")
        #expect(outcome.errors.contains("error: "))
        #expect(throws: (any Error).self) { try small.folder.text("predictions.jsonl") }
    }

    @Test("end the telling of labels with an error", arguments: [["predict"], ["eval", "--label", "{l}"]])
    func labels(command: [String]) throws {
        try makeAdapter(isClassifier: true)
        try small.folder.write(
            "{\"t\": \"a\", \"l\": \"LABEL_0\"}\n{\"t\": \"b\", \"l\": \"LABEL_1\"}\n", to: "data.jsonl")
        let outcome = try RunningTool(
            command + ["--adapter", adapter, "--data", small.path("data.jsonl"), "--text", "{t}", "--json"]
        ).outcome()
        #expect(outcome.status == 65 && outcome.output == "")
        #expect(outcome.errors.contains("error: "))
    }
}
