import Checkpoints
import Configuration
import Files
import FoundationEssentials
import JSONText
import Layers
import Methods
import Models
import Tensors
import Testing
import TestSupport

@Suite("LoRA") struct LoRATests {
    static let cases = MethodCase.all.filter { $0.method.adapterType != nil }

    @Test("comes back with the same bits and settings from its files", arguments: cases)
    func roundTrip(_ method: MethodCase) throws {
        let small = try SmallModel(method)
        let installation = try small.install(method.method, method.settings)
        randomise(installation)
        guard case .adapter(let configuration, let tensors) = installation.deliver() else {
            Issue.record("no adapter was delivered")
            return
        }
        let folder = FileManager.default.temporaryDirectory.appending(path: "methods-\(UUID().uuidString)").path()
        try FileSystem.createFolder(folder)
        defer { try? FileSystem.remove(folder) }
        try AdapterFolder.write(
            configuration: configuration, tensors: tensors.map { OutgoingTensor($0.name, $0.tensor, as: .float32) },
            to: folder)

        let adapter = try AdapterFolder(path: folder, warn: { Issue.record("\($0)") })
        let other = try SmallModel(method)
        let loaded = try make(method.method, ConfigDocument(json: adapter.configuration).root).install(
            into: other.model, InstallationContext(seed: 1, basePath: "base", isTraining: false))
        let found = try adapter.entries.map { ($0.path, try adapter.tensor($0)) }
        try loaded.load(Dictionary(uniqueKeysWithValues: found), file: "file")
        #expect(relativeDifference(other.logits, small.logits) <= (method.isConverted ? 1e-5 : 0))
        guard case .adapter(let again, let sameTensors) = loaded.deliver() else {
            Issue.record("no adapter was delivered")
            return
        }
        #expect(again == configuration)
        #expect(sameTensors.map(\.name) == tensors.map(\.name))
        #expect(sameTensors.map(\.tensor.values) == tensors.map(\.tensor.values))
    }

    @Test("keeps every setting in adapter_config.json under peft's name")
    func configuration() throws {
        let small = try SmallModel()
        let installation = try small.install(
            LoRA.self,
            #"""
            {"r": 3, "lora_alpha": 0.5, "lora_dropout": 0.05, "target_modules": ["c_fc", "c_attn"],
             "exclude_modules": ["h.0.mlp.c_fc"], "layers_to_transform": 1, "layers_pattern": "h", "bias": "lora_only",
             "modules_to_save": ["ln_f"], "use_rslora": true, "rank_pattern": {"c_fc": 2},
             "alpha_pattern": {"c_attn": 7}}
            """#)
        guard case .adapter(let configuration, _) = installation.deliver() else {
            Issue.record("no adapter was delivered")
            return
        }
        let node = try JSONNode.parse(configuration.text(.python))
        let expected: [String: JSONValue] = [
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "base", "r": 3,
            "lora_alpha": 0.5, "lora_dropout": 0.05, "target_modules": ["c_fc", "c_attn"],
            "exclude_modules": ["h.0.mlp.c_fc"], "layers_to_transform": [1], "layers_pattern": ["h"],
            "bias": "lora_only", "modules_to_save": ["ln_f"], "use_rslora": true, "rank_pattern": ["c_fc": 2],
            "alpha_pattern": ["c_attn": 7], "fan_in_fan_out": true, "inference_mode": true,
        ]
        for (key, value) in expected { #expect(try node.required(key).plain == value, "\(key)") }
    }

    @Test("takes the model's own target where none is named, and a rank and alpha of 8")
    func defaults() throws {
        let small = try SmallModel()
        let trainable = try small.install(LoRA.self, "{}").trainable
        #expect(
            trainable.map { "\($0.name) \($0.tensor.shape)" } == [
                "transformer.h.0.attn.c_attn.lora_A.weight [8, 8]",
                "transformer.h.0.attn.c_attn.lora_B.weight [24, 8]",
                "transformer.h.1.attn.c_attn.lora_A.weight [8, 8]",
                "transformer.h.1.attn.c_attn.lora_B.weight [24, 8]",
            ])
        for parameter in trainable {
            let values = parameter.tensor.values
            if parameter.name.hasSuffix("lora_B.weight") {
                #expect(values.allSatisfy { $0 == 0 })
            } else {
                // kaiming_uniform(a = √5): at most 1/√inputs, with a standard deviation of that over √3.
                #expect(values.allSatisfy { $0.magnitude <= 1 / Float(8).squareRoot() })
                #expect(values.contains { $0 > 0.3 } && values.contains { $0 < -0.3 })
            }
        }
    }

    @Test(
        "trains the biases that are asked for, without weight decay, and what it saves as a whole",
        arguments: [
            (#""bias": "none""#, 0, 0), (#""bias": "all""#, 13, 2), (#""bias": "lora_only""#, 2, 2),
            (#""bias": "lora_only", "target_modules": "all-linear""#, 8, 8),
            (#""bias": "none", "modules_to_save": ["ln_f"]"#, 1, 0),
        ])
    func biases(_ settings: String, count: Int, targeted: Int) throws {
        let trainable = try SmallModel().install(LoRA.self, #"{"r": 2, \#(settings)}"#).trainable
        let biases = trainable.filter { $0.name.hasSuffix("bias") }
        #expect(biases.count == count)
        #expect(biases.filter { $0.name.hasSuffix(".base_layer.bias") }.count == targeted)
        for parameter in trainable {
            let isPair = parameter.name.contains(".lora_")
            #expect(parameter.decays == isPair, "\(parameter.name)")
        }
    }

    @Test("decays embeddings and heads that it saves, as the Trainer does")
    func decay() throws {
        let trainable = try SmallModel().install(
            LoRA.self, #"{"r": 2, "modules_to_save": ["wte", "lm_head", "ln_f"]}"#
        ).trainable
        #expect(
            trainable.filter { !$0.name.contains(".lora_") }.map { "\($0.name) \($0.decays)" } == [
                "transformer.wte.weight true", "lm_head.weight true", "transformer.ln_f.weight false",
                "transformer.ln_f.bias false",
            ])
    }

    @Test("has no low-rank part beside a module that it saves, as peft has it")
    func savedTargets() throws {
        let trainable = try SmallModel().install(
            LoRA.self, #"{"r": 2, "target_modules": ["c_attn", "c_fc"], "modules_to_save": ["h.0.attn", "mlp"]}"#
        ).trainable
        #expect(
            trainable.filter { $0.name.contains(".lora_") }.map(\.name) == [
                "transformer.h.1.attn.c_attn.lora_A.weight", "transformer.h.1.attn.c_attn.lora_B.weight",
            ])
    }

    @Test("takes a whole path without asking for its layer, as peft does")
    func wholePaths() throws {
        let trainable = try SmallModel().install(
            LoRA.self,
            #"{"r": 2, "target_modules": ["transformer.h.0.mlp.c_fc", "c_attn"], "layers_to_transform": [1]}"#
        ).trainable
        #expect(
            trainable.filter { $0.name.contains("lora_A") }.map(\.name) == [
                "transformer.h.0.mlp.c_fc.lora_A.weight", "transformer.h.1.attn.c_attn.lora_A.weight",
            ])
    }

    @Test("drops other inputs in every pass of training, the same ones for the same pass, and none in inference")
    func dropout() throws {
        func losses(_ probability: Double) throws -> [Double] {
            let small = try SmallModel()
            let installation = try small.install(LoRA.self, #"{"r": 2, "lora_dropout": \#(probability)}"#)
            randomise(installation)
            let contexts: [ForwardContext] = [
                .inference(), .training(seed: 1, pass: 0), .training(seed: 1, pass: 0), .training(seed: 1, pass: 1),
                .training(seed: 2, pass: 0),
            ]
            return contexts.map { small.lossWithGradients(installation.trainable, $0) }
        }
        let (without, with) = (try losses(0), try losses(0.4))
        #expect(Set(without).count == 1)
        #expect(with[0] == without[0])
        #expect(with[1] == with[2])
        #expect(Set(with).count == 4)
    }

    @Test("goes on from an adapter whose settings are left out or the same; others are named")
    func continuing() throws {
        let start = try LoRA(section(#"{"r": 4, "lora_alpha": 2, "target_modules": ["c_fc"]}"#), startingFrom: nil)
        let small = try SmallModel()
        let context = InstallationContext(seed: 1, basePath: "base", isTraining: true)
        let trainable = try LoRA(section(#"{"lora_dropout": 0.5, "r": 4}"#), startingFrom: start)
            .install(into: small.model, context).trainable
        #expect(trainable.map(\.tensor.shape) == [[4, 8], [12, 4], [4, 8], [12, 4]])
        #expect(
            complaint { _ = try LoRA(section(#"{"r": 5, "bias": "all"}"#), startingFrom: start) } == """
                1:7: error: r: is 5, but 4 in the adapter that init_from names; leave it out
                1:18: error: bias: is all, but none in the adapter that init_from names; leave it out
                """)
    }
}

/// What `body` complains about.
func complaint(_ body: () throws -> Void) -> String {
    do {
        try body()
        return "no error"
    } catch {
        return "\(error)"
    }
}
