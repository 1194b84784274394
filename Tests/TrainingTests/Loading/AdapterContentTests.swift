import Checkpoints
import Datasets
import Diagnostics
import Foundation
import JSONText
import Layers
import Methods
import Tensors
import TestSupport
import Testing
import Training

/// What adapters' files bring that peft loads, or that nobody should.
@Suite("An adapter's file") struct AdapterContentTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// A committed adapter with other settings and tensors.
    private func adapter(
        _ name: String = "default", settings: [String: JSONValue] = [:], more: [String: Tensor] = [:],
        _ change: (String, Tensor) -> Tensor = { $1 }
    ) throws -> String {
        let source = try AdapterFolder(path: fixture("adapters/\(name)").path(), warn: { _ in })
        var tensors = try source.entries.map { entry in
            OutgoingTensor(entry.tensor.name, change(entry.path, try source.tensor(entry)), as: .float32)
        }
        tensors += more.map { OutgoingTensor("base_model.model." + $0.key, $0.value, as: .float32) }
        var members = try source.configuration.asObject().map { ($0.key, settings[$0.key] ?? $0.value.plain) }
        for (key, value) in settings where !members.contains(where: { $0.0 == key }) { members.append((key, value)) }
        try AdapterFolder.write(
            configuration: .object(members.map { .init($0.0, $0.1) }), tensors: tensors, to: scratch.path)
        return scratch.path
    }

    /// The logits with an adapter, and what was warned of.
    private func use(_ path: String) throws -> (logits: [Float], warnings: [String]) {
        var warnings: [String] = []
        let base = try BaseModel.quietly(fixture("adapters/base").path())
        let adapter = try AdapterFolder(path: path) { warnings.append($0.description.replacing(path + "/", with: "")) }
        let context = InstallationContext(seed: 0, basePath: "base", isTraining: false)
        let installation = try base.install(adapter, context)
        defer { installation.remove() }
        return (base.logits([5, 1, 90, 33]), warnings)
    }

    @Test("whose lists name what the model hasn't got is used as if they didn't, without a word")
    func deadEntries() throws {
        let expected = try use(fixture("adapters/default").path()).logits
        for settings: [String: JSONValue] in [
            ["target_modules": ["q_proj", "c_attn"]], ["exclude_modules": ["gate", "wte"]],
            ["modules_to_save": ["embed_tokens", "classifier"]], ["rank_pattern": ["gate": 7, "^c_attn": 3]],
            ["alpha_pattern": ["gate": 7]], ["layers_to_transform": [0, 1, 2, 99]],
            ["layers_to_transform": [0, 1, 2], "layers_pattern": ["layers", "h"]],
            ["target_parameters": ["experts.gate_up_proj"]],
        ] {
            let found = try use(adapter(settings: settings))
            #expect(found.logits == expected && found.warnings == [], "\(settings)")
        }
    }

    @Test("with a number that is none is refused, with tensor and row")
    func notFinite() throws {
        let path = try adapter { name, tensor in
            guard name.contains("lora_B") else { return tensor }
            let copy = tensor.copy()
            copy.data[4 * 3 + 1] = name.contains("h.0") ? .nan : -.infinity
            return copy
        }
        let tail = ", with which nothing can be computed: the training that made it diverged, or the file is damaged"
        #expect(
            complaint(in: path) { _ = try use(path) }
                == (0..<3).map { layer in
                    "adapter_model.safetensors: error: base_model.model.transformer.h.\(layer).attn.c_attn.lora_B.weight: holds "
                        + "\(layer == 0 ? "NaN" : "infinity") in row 3, column 1" + tail
                }.joined(separator: "\n"))
    }

    @Test("with a field that isn't known is used with a warning, unless the field is off")
    func unknownFields() throws {
        let expected = try use(fixture("adapters/default").path())
        #expect(expected.warnings == [])
        let on = try use(adapter(settings: ["use_something_new": true]))
        #expect(on.logits == expected.logits)
        #expect(
            on.warnings.map { $0.replacing(/:\d+:\d+/, with: "") } == [
                "adapter_config.json: warning: use_something_new: this field isn't known here, and may change what the "
                    + "adapter computes: compare with peft before you rely on it"
            ])
        for value: JSONValue in [nil, false, [], .object([]), ""] {
            #expect(try use(adapter(settings: ["use_something_new": value])).warnings == [])
        }
        #expect(
            complaint(in: scratch.path) { _ = try use(adapter(settings: ["use_qalora": true])) }.hasSuffix(
                "error: use_qalora: isn't supported"))
    }

    @Test("with the head of another model is used without it, and says so")
    func foreignHeads() throws {
        let expected = try use(fixture("adapters/default").path()).logits
        let head = Tensor(noise(24), shape: [1, 24])
        for name in ["v_head.summary.weight", "qa_outputs.weight", "classifier.weight", "score.weight"] {
            let found = try use(adapter(more: [name: head]))
            #expect(found.logits == expected)
            #expect(
                found.warnings == [
                    "adapter_model.safetensors: warning: \(name): belongs to a head that the model hasn't got, and is left out, "
                        + "as peft does"
                ])
        }
    }

    @Test("for classification is one by the class of its model too, where peft was told no task")
    func taskByMapping() throws {
        let mapping: JSONValue = [
            "base_model_class": "GPT2ForSequenceClassification",
            "parent_library": "transformers.models.gpt2.modeling_gpt2",
        ]
        let head = Tensor(noise(3 * 24), shape: [3, 24])
        let path = try adapter(settings: ["task_type": nil, "auto_mapping": mapping], more: ["score.weight": head])
        let folder = try AdapterFolder(path: path, warn: { Issue.record("unexpected: \($0)") })
        #expect(folder.isForClassification)
        #expect(try LabelSet(of: folder)?.names == ["LABEL_0", "LABEL_1", "LABEL_2"])
        let plain: JSONValue = ["base_model_class": "GPT2LMHeadModel"]
        let other = try adapter(settings: ["task_type": nil, "auto_mapping": plain])
        #expect(try !AdapterFolder(path: other, warn: { _ in }).isForClassification)
    }
}
