import Checkpoints
import Diagnostics
import Files
import Foundation
import JSONText
import Layers
import Methods
import Tensors
import TestSupport
import Testing
import Training

@Suite("An adapter on a base model") struct ModelFingerprintTests {
    private let training: TinyTraining
    private var scratch: Scratch { training.scratch }

    /// An adapter for a model with weights of its own.
    init() throws {
        training = try TinyTraining()
        try write("model", .float32)
        try training.run(["model.init=pretrained", "training.max_steps=1"], into: "adapter")
    }

    /// Writes a copy of the model.
    private func write(_ folder: String, _ type: ElementType, changing: String? = nil, from source: String? = nil)
        throws
    {
        if folder != "model" {
            try FileManager.default.copyItem(atPath: scratch("model"), toPath: scratch(folder))
        }
        let base = try BaseModel.load(
            scratch(source ?? "model"), randomSeed: source == nil ? 5 : nil, warn: { Issue.record($0) })
        try SafetensorsWriter.write(
            base.model.parameters.map { parameter in
                let tensor = parameter.tensor.copy()
                if parameter.name == changing { tensor.data[0] += 0.5 }
                return OutgoingTensor(parameter.name, tensor, as: type)
            }, to: scratch("\(folder)/model.safetensors"))
    }

    /// What installing the adapter on the model of a folder says; nil where it is taken.
    private func refusal(_ folder: String) throws -> String? {
        let base = try BaseModel.load(scratch(folder), randomSeed: nil, warn: { Issue.record($0) })
        let adapter = try AdapterFolder(path: scratch("adapter"), warn: { Issue.record($0) })
        do {
            try base.install(adapter, InstallationContext(seed: 1, basePath: "base", isTraining: false)).remove()
            return nil
        } catch let problem as Problem {
            #expect(problem.exitStatus == .badData && problem.file == scratch("adapter"))
            return problem.message
        }
    }

    private let advice = "; give the right one with --base, or --other-base to go on all the same"

    @Test("is taken on copies of its own in every type, whatever else changes that changes no result")
    func same() throws {
        #expect(try refusal("model") == nil)
        try write("half", .float16)
        try write("brain", .bfloat16)
        try write("back", .float32, from: "half")
        for folder in ["half", "brain", "back"] { #expect(try refusal(folder) == nil, "\(folder)") }
        let text = try scratch.text("model/config.json").replacing("\"embd_pdrop\": 0.1", with: "\"embd_pdrop\": 0.3")
        try scratch.write(text, to: "model/config.json")
        #expect(try refusal("model") == nil)
    }

    @Test("is refused on another of the same shapes, with other settings, or with another tokenizer")
    func others() throws {
        try write("other", .float32, changing: "transformer.h.1.ln_2.bias")
        let weights =
            "the base model '\(scratch("other"))' isn't the one that the adapter was trained on: its weights are others"
        #expect(try refusal("other") == weights + advice)
        try write("heads", .float32)
        let text = try scratch.text("model/config.json")
        try scratch.write(text.replacing("\"n_head\": 2", with: "\"n_head\": 4"), to: "heads/config.json")
        #expect(
            try refusal("heads")
                == "the base model '\(scratch("heads"))' isn't the one that the adapter was trained on: its config.json "
                + "says 'heads 4, gelu_new, epsilon 1e-05, scaled true, by layer false', and then 'heads 2, gelu_new, "
                + "epsilon 1e-05, scaled true, by layer false'" + advice)
        try write("words", .float32)
        var merges = try scratch.text("model/merges.txt").split(separator: "\n", omittingEmptySubsequences: false)
        merges.swapAt(1, 2)
        try scratch.write(merges.joined(separator: "\n"), to: "words/merges.txt")
        #expect(
            try refusal("words")
                == "the tokenizer in '\(scratch("words"))' isn't the one that the adapter was trained with" + advice)
    }

    @Test("of another content is taken with a warning where that is said, and one without fingerprints always")
    func known() throws {
        try write("other", .float32, changing: "transformer.wte.weight")
        var base = try BaseModel.load(scratch("other"), randomSeed: nil, warn: { Issue.record($0) })
        var warnings: [String] = []
        base.otherBaseWarning = { warnings.append($0.message) }
        let context = InstallationContext(seed: 1, basePath: "base", isTraining: false)
        let adapter = try AdapterFolder(path: scratch("adapter"), warn: { Issue.record($0) })
        try base.install(adapter, context).remove()
        #expect(
            warnings == [
                "the base model '\(scratch("other"))' isn't the one that the adapter was trained on: its weights are others"
            ])
        // As peft writes it.
        let tensors = try adapter.entries.map { OutgoingTensor($0.tensor.name, try adapter.tensor($0), as: .float32) }
        try AdapterFolder.write(configuration: adapter.configuration.plain, tensors: tensors, to: scratch("adapter"))
        #expect(try refusal("other") == nil)
    }

    @Test("without a fingerprint means the nearest of several models of one name") func nearest() throws {
        let scratch = try Scratch()
        for folder in ["base", "project/base"] { try scratch.write("{}", to: "\(folder)/config.json") }
        try scratch.write("", to: "project/runs/adapter/.keep")
        try AdapterFolder.write(
            configuration: ["base_model_name_or_path": "base"],
            tensors: [OutgoingTensor("base_model.model.x.lora_A.weight", Tensor([1], shape: [1, 1]), as: .float32)],
            to: scratch("project/runs/adapter"))
        let adapter = try AdapterFolder(path: scratch("project/runs/adapter"), warn: { Issue.record($0) })
        let found = try #require(try adapter.baseModel())
        #expect(FileSystem.isSame(found, scratch("project/base")))
    }

    @Test("finds its base wherever it is used from, and one that moved along with it") func places() throws {
        func configure(_ path: String, in folder: String = "adapter") throws -> String? {
            let own = try scratch.text("\(folder)/adapter_config.json")
            let node = try JSONNode.parse(own)
            let members = try node.asObject().map { member in
                JSONValue.Member(
                    member.key, member.key == "base_model_name_or_path" ? .string(path) : member.value.plain)
            }
            try scratch.write(JSONValue.object(members).text(.python), to: "\(folder)/adapter_config.json")
            return try AdapterFolder(path: scratch(folder), warn: { _ in }).baseModel()
        }
        #expect(try configure(scratch("model")) == scratch("model"))
        let found = try #require(try configure("model"))
        #expect(FileSystem.isSame(found, scratch("model")) && found.hasPrefix("/"))
        #expect(try configure("gpt2-of-nobody") == "gpt2-of-nobody")
        // The whole project elsewhere.
        try scratch.write("", to: "moved/.keep")
        for name in ["model", "adapter"] {
            try FileManager.default.copyItem(atPath: scratch(name), toPath: scratch("moved/\(name)"))
        }
        let moved = try #require(try configure("/gone/project/model", in: "moved/adapter"))
        #expect(FileSystem.isSame(moved, scratch("moved/model")))
        // Two of the name, of which the content tells the right one.
        try FileManager.default.removeItem(atPath: scratch("moved/model"))
        try write("moved/model", .float32, changing: "transformer.wpe.weight")
        let told = try #require(try configure("model", in: "moved/adapter"))
        #expect(FileSystem.isSame(told, scratch("model")))
        let adapter = try AdapterFolder(path: scratch("moved/adapter"), warn: { _ in })
        try AdapterFolder.write(
            configuration: adapter.configuration.plain,
            tensors: try adapter.entries.map { OutgoingTensor($0.tensor.name, try adapter.tensor($0), as: .float32) },
            to: scratch("moved/adapter"))
        let nearest = try #require(try configure("model", in: "moved/adapter"))
        #expect(FileSystem.isSame(nearest, scratch("moved/model")))
    }
}
