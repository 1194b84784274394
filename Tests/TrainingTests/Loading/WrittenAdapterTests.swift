import Batches
import Checkpoints
import Configuration
import Datasets
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
        #"{"r": 3, "target_modules": ["c_attn", "c_proj"], "rank_pattern": {"h.1.mlp.c_proj": 6, "c_proj": 2}}"#,
        #"{"r": 2, "target_modules": ["c_attn", "c_fc"], "use_dora": true}"#,
        #"{"r": 2, "target_modules": ["c_attn", "mlp.c_proj"], "lora_bias": true}"#,
        #"{"r": 2, "init_lora_weights": false}"#,
        #"{"r": 2, "init_lora_weights": "gaussian"}"#,
        #"{"r": 2, "init_lora_weights": "orthogonal"}"#,
        #"{"r": 2, "init_lora_weights": "pissa", "target_modules": ["c_attn", "mlp.c_proj"]}"#,
        #"{"r": 2, "init_lora_weights": "pissa", "use_dora": true, "use_rslora": true}"#,
        #"{"r": 2, "init_lora_weights": "olora", "target_modules": ["c_fc", "c_proj"], "rank_pattern": {"c_fc": 3}}"#,
        #"{"r": 2, "target_modules": ["wte", "wpe"]}"#,
        #"{"r": 2, "target_modules": ["wte"], "use_dora": true}"#,
        #"{"r": 2, "target_modules": ["lm_head", "c_attn"]}"#,
        #"{"r": 2, "target_modules": ["lm_head"], "use_dora": true}"#,
        #"{"r": 2, "target_modules": ["lm_head", "wte"]}"#,
        #"{"r": 2, "target_modules": ".*(lm_head|c_fc)", "bias": "all"}"#,
        #"{"r": 2, "target_modules": ["lm_head", "wpe"], "modules_to_save": ["wte"]}"#,
        #"{"r": 2, "trainable_token_indices": [5, 1, 90]}"#,
        #"{"r": 2, "trainable_token_indices": {"wte": [5, 90], "wpe": [3]}}"#,
    ]

    /// What peft warns of whatever a file says: where layers of both layouts are adapted, and of the ranks that AdaLoRA
    /// itself stores.
    private static func acceptedWarning(_ name: String, _ settings: String) -> String? {
        if name == "adalora" {
            return "The following rank_pattern keys did not match any targeted module and were ignored"
        }
        return settings.contains("lm_head") && settings.contains(/c_(attn|fc)/) && !settings.contains("modules_to_save")
            ? "fan_in_fan_out is set to" : nil
    }

    @Test("loads in peft without a warning and gives it our logits within 1e-5")
    func loads() throws {
        let scratch = try Scratch()
        for (index, settings) in Self.settings.enumerated() {
            try Self.write("lora", settings, to: scratch, "\(index)")
        }
        try Self.check(
            "check_adapter.py", by: try #require(referencePython), scratch, Self.settings.indices.map { "\($0)" })
    }

    @Test("and was combined of others loads as well") func combined() throws {
        let scratch = try Scratch()
        let mixes: [([String], CombinationType)] = [
            (["default", "rslora"], .linear), (["patterns", "embeddings", "dropout"], .cat),
            (["lora-bias", "saved-norm"], .cat), (["default", "all-linear"], .tiesSVD),
            (["patterns", "patterns"], .ties),
            (["layers", "regex", "excluded"], .dareLinearSVD),
        ]
        for (index, (names, type)) in mixes.enumerated() {
            _ = try combine(
                CombinationSettings(
                    base: Self.base,
                    adapters: names.map { .init(path: fixture("adapters/\($0)").path(), weight: 0.7) },
                    output: scratch("\(index)"), type: type, density: 0.6), warn: { _ in })
            let base = try BaseModel.quietly(Self.base)
            let installation = try base.install(adapter: scratch("\(index)"))
            try Self.writeLogits(of: base, to: scratch, "\(index)")
            installation.remove()
        }
        try Self.check("check_adapter.py", by: try #require(referencePython), scratch, mixes.indices.map { "\($0)" })
    }

    @Test("for an output layer that has a weight of its own loads as well")
    func untiedHead() throws {
        let scratch = try Scratch()
        let adapter = fixture("adapters/saved-head").path()
        _ = try merge(
            MergeSettings(
                base: Self.base, adapters: [.init(path: adapter, weight: 1)], output: scratch("untied"),
                elementType: nil, overwrites: false), warn: { _ in })
        let settings = [
            #"{"r": 2, "target_modules": ["lm_head"]}"#,
            #"{"r": 2, "target_modules": ["lm_head"], "init_lora_weights": "pissa"}"#,
            #"{"r": 2, "target_modules": ["lm_head"], "init_lora_weights": "olora", "use_rslora": true}"#,
            #"{"r": 2, "target_modules": ["lm_head", "wte"], "use_dora": true}"#,
        ]
        for (index, settings) in settings.enumerated() {
            try Self.write("lora", settings, of: scratch("untied"), to: scratch, "\(index)")
        }
        try Self.check(
            "check_adapter.py", by: try #require(referencePython), of: scratch("untied"), scratch,
            settings.indices.map { "\($0)" })
    }

    @Test("and whose ranks were taken away in training loads as well, with peft's word on what it stores itself")
    func prunedRanks() throws {
        let scratch = try Scratch()
        let settings = [
            #"{"init_r": 4, "target_r": 2, "lora_alpha": 12, "tinit": 1, "tfinal": 2}"#,
            #"{"init_r": 5, "target_r": 1, "tfinal": 3, "target_modules": "all-linear", "bias": "all"}"#,
            #"{"init_r": 3, "target_r": 1, "target_modules": ["c_attn"], "modules_to_save": ["ln_f", "lm_head"]}"#,
        ]
        for (index, settings) in settings.enumerated() {
            try Self.write("adalora", settings, to: scratch, "\(index)")
            let adapter = try AdapterFolder(path: scratch("\(index)"), warn: { _ in })
            let ranks = adapter.entries.filter { $0.path.hasSuffix(".lora_E") }.map { $0.tensor.shape[0] }
            let (first, target) = [(4, 2), (5, 1), (3, 1)][index]
            #expect(ranks.reduce(0, +) == target * ranks.count && ranks.contains { $0 < first })
        }
        try Self.check(
            "check_adapter.py", by: try #require(referencePython), scratch, settings.indices.map { "\($0)" })
    }

    /// Other methods, checked by one process.
    static let others: [(String, String)] = [
        ("bitfit", "{}"), ("bitfit", #"{"biases": ["query", "norm"]}"#),
        ("bitfit", #"{"biases": "intermediate", "modules_to_save": ["lm_head"]}"#),
        ("last_layers", "{}"), ("last_layers", #"{"layers": 2, "head": true}"#),
        ("last_layers", #"{"layers": 0, "final_norm": false, "head": true}"#),
        ("ln_tuning", "{}"), ("ln_tuning", #"{"target_modules": ["ln_f", "c_fc"], "modules_to_save": ["ln_1"]}"#),
        ("ln_tuning", #"{"layers_to_transform": [1]}"#),
        ("ia3", "{}"), ("ia3", #"{"target_modules": "all-linear", "feedforward_modules": ["c_proj"]}"#),
        ("ia3", #"{"target_modules": ["c_attn"], "layers_to_transform": [1], "modules_to_save": ["ln_f"]}"#),
        ("prompt_tuning", #"{"num_virtual_tokens": 4}"#),
        ("prompt_tuning", #"{"num_virtual_tokens": 2, "modules_to_save": ["ln_f"]}"#),
        ("prompt_tuning", #"{"num_virtual_tokens": 2, "prompt_tuning_init": "SAMPLE_VOCAB"}"#),
        ("prefix_tuning", #"{"num_virtual_tokens": 4}"#),
        ("prefix_tuning", #"{"num_virtual_tokens": 3, "prefix_projection": true, "encoder_hidden_size": 5}"#),
        ("p_tuning", #"{"num_virtual_tokens": 4, "encoder_hidden_size": 5}"#),
        ("p_tuning", #"{"num_virtual_tokens": 4, "encoder_reparameterization_type": "LSTM"}"#),
        ("p_tuning_v2", #"{"num_virtual_tokens": 4}"#),
    ]

    @Test("by any other method loads in peft without a warning and gives it our logits within 1e-5")
    func others() throws {
        let scratch = try Scratch()
        for (index, (name, settings)) in Self.others.enumerated() {
            try Self.write(name, settings, to: scratch, "\(index)")
        }
        try Self.check(
            "check_adapter.py", by: try #require(referencePython), scratch, Self.others.indices.map { "\($0)" })
    }

    /// Every method on models of other families, with their own modules where none are named.
    static let ofFamilies: [(String, String)] = [
        ("lora", #"{"r": 2, "target_modules": "all-linear", "bias": "all"}"#),
        ("lora", #"{"r": 2, "use_dora": true, "modules_to_save": ["norm", "lm_head"]}"#),
        ("lora", #"{"r": 2, "target_modules": ["embed_tokens", "down_proj"]}"#),
        ("lora", #"{"r": 2, "trainable_token_indices": [5, 1, 20]}"#),
        ("adalora", #"{"init_r": 4, "target_r": 2, "lora_alpha": 12, "tinit": 1, "tfinal": 2}"#),
        ("loha", #"{"r": 2}"#), ("lokr", #"{"r": 2, "target_modules": "all-linear"}"#), ("ia3", "{}"),
        ("ln_tuning", "{}"), ("last_layers", "{}"), ("prompt_tuning", #"{"num_virtual_tokens": 4}"#),
        ("prefix_tuning", #"{"num_virtual_tokens": 4}"#),
        ("prefix_tuning", #"{"num_virtual_tokens": 3, "prefix_projection": true}"#),
        ("p_tuning", #"{"num_virtual_tokens": 4, "encoder_hidden_size": 5}"#),
        ("p_tuning_v2", #"{"num_virtual_tokens": 4}"#),
    ]

    @Test(
        "for another family loads in peft without a warning and gives it our logits within 1e-5",
        arguments: ["llama-grouped", "mistral-window", "qwen2-layers", "qwen3"])
    func families(model: String) throws {
        let scratch = try Scratch()
        let base = fixture("llama/\(model)").path()
        let settings = Self.ofFamilies + (model.hasPrefix("qwen2") ? [("bitfit", "{}")] : [])
        for (index, (name, settings)) in settings.enumerated() {
            try Self.write(name, settings, of: base, to: scratch, "\(index)")
        }
        try Self.check(
            "check_adapter.py", by: try #require(referencePython), of: base, scratch,
            settings.indices.map { "\($0)" })
    }

    /// Every method on models with an encoder; AdapterHub's and what only this tool loads aside.
    static let withEncoder: [(String, String)] = [
        ("lora", #"{"r": 2}"#), ("lora", #"{"r": 2, "target_modules": "all-linear", "use_rslora": true}"#),
        ("lora", #"{"r": 2, "target_modules": ["q", "wo"], "use_dora": true, "modules_to_save": ["lm_head"]}"#),
        ("lora", #"{"r": 2, "target_modules": ["lm_head", "relative_attention_bias"]}"#),
        ("lora", #"{"r": 2, "layers_pattern": "block", "layers_to_transform": [1]}"#),
        ("adalora", #"{"init_r": 4, "target_r": 2, "lora_alpha": 12, "tinit": 1, "tfinal": 2}"#),
        ("loha", #"{"r": 2}"#), ("lokr", #"{"r": 2, "target_modules": "all-linear"}"#), ("ia3", "{}"),
        ("ln_tuning", "{}"), ("last_layers", "{}"), ("last_layers", #"{"layers": 2, "head": true}"#),
        ("prompt_tuning", #"{"num_virtual_tokens": 4}"#),
        ("prompt_tuning", #"{"num_virtual_tokens": 4, "num_transformer_submodules": 1}"#),
        ("prefix_tuning", #"{"num_virtual_tokens": 4}"#),
        ("prefix_tuning", #"{"num_virtual_tokens": 3, "prefix_projection": true, "encoder_hidden_size": 5}"#),
        ("p_tuning", #"{"num_virtual_tokens": 4, "encoder_hidden_size": 5}"#),
        ("p_tuning", #"{"num_virtual_tokens": 4, "encoder_reparameterization_type": "LSTM"}"#),
        ("p_tuning_v2", #"{"num_virtual_tokens": 4}"#),
    ]

    @Test(
        "for a model with an encoder loads in peft without a warning and gives it our logits within 1e-5",
        arguments: ["relu", "gated-5x", "three"])
    func encoders(model: String) throws {
        let scratch = try Scratch()
        let base = fixture("t5/\(model)").path()
        // With a head of its own, which peft takes for the embedding all the same, rows aren't trained.
        let rows = model == "relu" ? [("lora", #"{"r": 2, "trainable_token_indices": [5, 1, 20]}"#)] : []
        for (index, (name, settings)) in (Self.withEncoder + rows).enumerated() {
            try Self.write(name, settings, of: base, to: scratch, "\(index)")
        }
        try Self.check(
            "check_adapter.py", by: try #require(referencePython), of: base, scratch,
            (Self.withEncoder + rows).indices.map { "\($0)" })
    }

    static let base = fixture("adapters/base").path()

    /// An adapter with every number moved, and our logits from it.
    static func write(
        _ name: String, _ settings: String, of basePath: String = base, to scratch: Scratch, _ folder: String
    ) throws {
        let base = try BaseModel.quietly(basePath)
        var context = InstallationContext(seed: 3, basePath: basePath, isTraining: true)
        context.stepCount = 8
        let installation = try method(name, settings).install(into: base.model, context)
        for (index, parameter) in installation.trainable.enumerated() {
            let value = parameter.value
            for (i, change) in noise(value.count, seed: UInt64(index + 1), scale: 0.2).enumerated() {
                value.data[i] += change
            }
        }
        if name == "adalora" { train(base, installation, steps: 8) }
        guard case .adapter(let configuration, let tensors) = installation.deliver() else {
            Issue.record("no adapter was delivered")
            return
        }
        try scratch.write("", to: "\(folder)/logits.json")
        try AdapterFolder.write(
            configuration: configuration, tensors: tensors.map { OutgoingTensor($0.name, $0.tensor, as: .float32) },
            to: scratch(folder))
        try writeLogits(of: base, warning: acceptedWarning(name, settings), to: scratch, folder)
    }

    /// What a model computes, beside an adapter of it.
    private static func writeLogits(
        of base: BaseModel, warning: String? = nil, to scratch: Scratch, _ folder: String
    ) throws {
        let vocabulary = base.model.vocabularySize
        let longest = (0..<min(40, base.model.maximumLength)).map { $0 * 4 % vocabulary }
        let sequences: [JSONValue] = [[5, 1, 90, 33, 96, 2].map { $0 % vocabulary }, longest].map { ids in
            let source = base.model.hasEncoder ? Array(ids.reversed()) + [1] : nil
            let logits = base.logits(ids.map(Int32.init), source: source?.map(Int32.init))
            let rows = stride(from: 0, to: logits.count, by: vocabulary).map { row in
                JSONValue.array(logits[row..<row + vocabulary].map { .number(Double($0)) })
            }
            let read: [JSONValue.Member] = source.map { [.init("source", .array($0.map(JSONValue.integer)))] } ?? []
            return .object(
                read + [.init("ids", .array(ids.map(JSONValue.integer))), .init("logits", .array(rows))])
        }
        var members = [JSONValue.Member("sequences", .array(sequences))]
        if let warning { members.append(.init("accepted_warning", .string(warning))) }
        try scratch.write(JSONValue.object(members).text(.compact), to: "\(folder)/logits.json")
    }

    /// Takes steps in which ranks go.
    private static func train(_ base: BaseModel, _ installation: any Installation, steps: Int) {
        let optimizer = AdamW(
            installation.trainable,
            AdamW.Settings(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maximumNorm: 1))
        let runner = StepRunner(model: base.model, installation: installation, optimizer: optimizer, seed: 1)
        let batch = base.model.batch(
            (0..<4).map { row in
                Example(
                    source: base.model.hasEncoder ? [3, Int32(row), 1] : nil,
                    tokens: (0..<12).map { Int32(($0 * 7 + row * 13) % base.model.vocabularySize) },
                    targets: [1..<12])
            })
        for step in 0..<steps { _ = runner.step([batch], firstPass: step, learningRate: 1e-3) }
    }

    /// Runs a check script over folders that `write` has filled.
    static func check(
        _ script: String, by python: String, of basePath: String = base, _ scratch: Scratch, _ folders: [String]
    ) throws {
        let process = Process()
        process.executableURL = URL(filePath: python)
        process.currentDirectoryURL = repositoryRoot
        process.arguments =
            ["scripts/\(script)", basePath]
            + folders.flatMap { [scratch($0), scratch("\($0)/logits.json")] }
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

private let hubPython = ProcessInfo.processInfo.environment["PEFT_ADAPTERHUB_PYTHON"]

/// The same with AdapterHub's library, where `PEFT_ADAPTERHUB_PYTHON` names a Python that has it.
@Suite("A bottleneck adapter that was written here", .enabled(if: hubPython != nil))
struct WrittenBottleneckTests {
    static let settings = [
        #"{"size": 5}"#, #"{"variant": "houlsby", "reduction_factor": 4, "leave_out": [1]}"#,
        #"{"variant": "parallel", "scaling": "learned"}"#,
        #"{"mh_adapter": true, "scaling": "channel", "non_linearity": "gelu_new", "reduction_factor": 7}"#,
        #"{"variant": "houlsby", "residual_before_ln": false, "original_ln_before": true, "original_ln_after": false}"#,
    ]

    @Test("loads in AdapterHub's library and gives it our logits within 1e-5") func loads() throws {
        let scratch = try Scratch()
        for (index, settings) in Self.settings.enumerated() {
            try WrittenAdapterTests.write("adapter", settings, to: scratch, "\(index)")
        }
        try WrittenAdapterTests.check(
            "check_adapterhub.py", by: try #require(hubPython), scratch, Self.settings.indices.map { "\($0)" })
    }

    @Test("for a model with an encoder loads as well") func withEncoder() throws {
        let scratch = try Scratch()
        let base = fixture("t5/gated").path()
        let settings = [
            #"{"size": 3}"#, #"{"variant": "houlsby", "cross_adapter": true, "size": 2, "leave_out": [1]}"#,
            #"{"variant": "parallel", "scaling": "learned", "size": 2}"#,
        ]
        for (index, settings) in settings.enumerated() {
            try WrittenAdapterTests.write("adapter", settings, of: base, to: scratch, "\(index)")
        }
        try WrittenAdapterTests.check(
            "check_adapterhub.py", by: try #require(hubPython), of: base, scratch, settings.indices.map { "\($0)" })
    }
}
