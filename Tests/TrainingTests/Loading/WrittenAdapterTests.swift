import Checkpoints
import Configuration
import Foundation
import JSONText
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

private let referencePython = ProcessInfo.processInfo.environment["PEFT_REFERENCE_PYTHON"]

/// Adapters that we wrote, read by peft itself, where `PEFT_REFERENCE_PYTHON` names a Python that has it.
@Suite("An adapter that was written here", .serialized, .enabled(if: referencePython != nil))
struct WrittenAdapterTests {
    static let others: [(String, String)] = [
        ("bitfit", "{}"), ("bitfit", #"{"biases": ["query", "norm"]}"#),
        ("bitfit", #"{"biases": "intermediate", "modules_to_save": ["h.1.ln_1"]}"#),
        ("last_layers", "{}"), ("last_layers", #"{"layers": 2, "head": true}"#),
        ("last_layers", #"{"layers": 0, "final_norm": false, "head": true}"#),
        ("ln_tuning", "{}"), ("ln_tuning", #"{"target_modules": ["ln_f", "c_fc"], "modules_to_save": ["ln_1"]}"#),
        ("ln_tuning", #"{"layers_to_transform": [1]}"#),
        ("ia3", "{}"), ("ia3", #"{"target_modules": "all-linear", "feedforward_modules": ["c_proj"]}"#),
        ("ia3", #"{"target_modules": ["c_attn"], "layers_to_transform": [1], "modules_to_save": ["ln_f"]}"#),
    ]
    static let settings = [
        #"{"r": 4, "lora_alpha": 16, "lora_dropout": 0.1}"#,
        #"{"r": 2, "target_modules": "all-linear"}"#,
        #"{"r": 2, "bias": "all"}"#,
        #"{"r": 2, "bias": "lora_only", "target_modules": ["c_attn", "mlp.c_proj"]}"#,
        #"{"r": 2, "modules_to_save": ["ln_f"]}"#,
        #"{"r": 2, "modules_to_save": ["lm_head"]}"#,
        #"{"r": 2, "modules_to_save": ["wte"]}"#,
        #"{"r": 2, "modules_to_save": ["lm_head", "wte"]}"#,
        #"{"r": 2, "target_modules": ["c_attn", "c_fc"], "modules_to_save": ["mlp"]}"#,
        #"{"r": 2, "target_modules": ".*\\.h\\.[02]\\.mlp\\.(c_fc|c_proj)"}"#,
        #"{"r": 2, "target_modules": ["c_attn", "c_fc"], "layers_to_transform": [0, 2]}"#,
        #"{"r": 2, "target_modules": ["c_attn"], "layers_to_transform": 1, "layers_pattern": "h"}"#,
        #"{"r": 2, "target_modules": ["transformer.h.0.mlp.c_fc", "c_attn"], "layers_to_transform": [1]}"#,
        #"{"r": 2, "target_modules": "all-linear", "layers_to_transform": [1]}"#,
        #"{"r": 2, "target_modules": ["c_attn", "c_proj"], "exclude_modules": ["mlp.c_proj"]}"#,
        #"{"r": 4, "lora_alpha": 6, "use_rslora": true}"#,
        #"""
        {"r": 3, "lora_alpha": 6, "target_modules": ["c_attn", "c_proj"],
         "rank_pattern": {"^transformer\\.h\\.0\\.attn\\.c_attn": 5, "mlp.c_proj": 4},
         "alpha_pattern": {"c_attn": 3, "h.0.mlp.c_proj": 1.5}}
        """#,
    ]

    @Test(
        "loads in peft without a warning and gives it our logits within 1e-5",
        arguments: settings.map { ("lora", $0) } + others)
    func loads(_ name: String, _ settings: String) throws {
        let python = try #require(referencePython)
        let scratch = try Scratch()
        let base = try BaseModel.quietly(fixture("adapters/base").path())
        let installation = try method(name, settings).install(
            into: base.model,
            InstallationContext(seed: 3, basePath: "Tests/Fixtures/adapters/base", isTraining: true))
        for (index, parameter) in installation.trainable.enumerated() {
            for (i, value) in noise(parameter.tensor.count, seed: UInt64(index + 1), scale: 0.2).enumerated() {
                parameter.tensor.data[i] += value
            }
        }
        guard case .adapter(let configuration, let tensors) = installation.deliver() else {
            Issue.record("no adapter was delivered")
            return
        }
        try AdapterFolder.write(
            configuration: configuration, tensors: tensors.map { OutgoingTensor($0.name, $0.tensor, as: .float32) },
            to: scratch.path)
        let sequences: [JSONValue] = [[5, 1, 90, 33, 96, 2], Array(0..<24).map { $0 * 4 % 97 }].map { ids in
            let logits = base.logits(ids.map(Int32.init))
            let rows = stride(from: 0, to: logits.count, by: 97).map { row in
                JSONValue.array(logits[row..<row + 97].map { .number(Double($0)) })
            }
            return ["ids": .array(ids.map(JSONValue.integer)), "logits": .array(rows)]
        }
        try scratch.write(JSONValue.object([.init("sequences", .array(sequences))]).text(.compact), to: "logits.json")
        let process = Process()
        process.executableURL = URL(filePath: python)
        process.currentDirectoryURL = repositoryRoot
        process.arguments = [
            "scripts/check_adapter.py", fixture("adapters/base").path(), scratch.path, scratch("logits.json"),
        ]
        try scratch.write("", to: "output")
        let output = try FileHandle(forWritingTo: URL(filePath: scratch("output")))
        process.standardOutput = output
        process.standardError = output
        try process.run()
        process.waitUntilExit()
        let said = try scratch.text("output")
        #expect(process.terminationStatus == 0, "\(said)")
    }
}
