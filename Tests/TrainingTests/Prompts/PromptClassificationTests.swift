import Batches
import Checkpoints
import Configuration
import Datasets
import Files
import FoundationEssentials
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

/// Learned prompts of peft's beside a head for labels, on the fixtures of `scripts/fixtures/prompt_classification.py`.
@Suite("A learned prompt beside a head") struct PromptClassificationTests {
    private static let folder = fixture("prompt-classification").path(percentEncoded: false) + "/"
    private static let base = fixture("classification/base").path(percentEncoded: false)

    static let cases: [(method: String, name: String)] = [
        ("prompt_tuning", "prompt"), ("prefix_tuning", "prefix"), ("p_tuning_v2", "prefix"),
        ("prefix_tuning", "prefix-projection"), ("p_tuning_v2", "prefix-projection"),
        ("p_tuning_v2", "prefix-regression"), ("p_tuning", "ptuning-mlp"), ("p_tuning", "ptuning-lstm"),
    ]

    private func expected() throws -> JSONNode { try JSONNode.load(path: Self.folder + "expected.json") }

    /// The records of `classification` but the first, which fills all positions, and the one that ends in padding.
    private func examples(_ target: String) throws -> [Example] {
        let text = try FileSystem.text(of: fixture("classification/records.jsonl").path(percentEncoded: false))
        return try text.split(separator: "\n").enumerated().filter { $0.offset != 0 && $0.offset != 4 }.map { line in
            let record = try JSONNode.parse(String(line.element))
            let tokens = try record.array("ids").map { Int32(try $0.asInteger()) }
            return Example(
                tokens: tokens,
                label: target == "value"
                    ? .value(Float(try record.number(target))) : .category(Int32(try record.integer(target))))
        }
    }

    private func load(_ target: String) throws -> BaseModel {
        try BaseModel.load(
            Self.base, randomSeed: nil, labels: target == "value" ? .regression : .unnamed(3), headSeed: 1,
            quantization: nil,
            warn: { Issue.record($0) })
    }

    private func outputs(_ model: any LanguageModel, _ examples: [Example]) -> [Float] {
        let batch = TokenBatch(examples)
        return model.logits(batch, rows: batch.offsets.dropFirst().map { $0 - 1 }, .inference()).values
    }

    private func difference(_ found: [Float], _ expected: [JSONNode]) throws -> Double {
        let expected = try expected.flatMap { try $0.asArray().map { try $0.asNumber() } }
        try #require(found.count == expected.count)
        return relativeDifference(found, expected)
    }

    @Test("is in the list here") func lists() throws {
        #expect(try expected().asObject().map(\.key).sorted() == Set(Self.cases.map(\.name)).sorted())
    }

    @Test(
        "gives peft's outputs within 1e-5, and comes out of a second writing the same",
        arguments: Set(cases.map(\.name)).sorted())
    func forward(name: String) throws {
        let row = try expected().required(name)
        let (target, start) = (try row.string("target"), try row.array("start"))
        let (base, examples) = (try load(target), try examples(target))
        let before = outputs(base.model, examples)
        let adapter = try AdapterFolder(path: Self.folder + name, warn: { Issue.record($0) })
        #expect(try LabelSet(of: adapter) == (target == "value" ? .regression : .unnamed(3)))
        let context = InstallationContext(seed: 1, basePath: "base", isTraining: false)
        let installation = try base.install(adapter, context)
        let found = outputs(base.model, examples)
        #expect(try difference(found, start) <= 1e-5)
        guard case .adapter(let configuration, let tensors) = installation.deliver() else {
            Issue.record("no adapter")
            return
        }
        let file = try SafetensorsFile(path: Self.folder + name + "/adapter_model.safetensors", warn: { _ in })
        #expect(tensors.map(\.name).sorted() == file.tensors.map(\.name).sorted())
        installation.remove()
        #expect(outputs(base.model, examples) == before)

        let scratch = try Scratch()
        try AdapterFolder.write(
            configuration: configuration,
            tensors: tensors.map { OutgoingTensor($0.name, $0.tensor, as: .float32) }, to: scratch.path)
        _ = try base.install(AdapterFolder(path: scratch.path, warn: { Issue.record($0) }), context)
        #expect(outputs(base.model, examples) == found)
    }

    @Test("whose tokens stand between those of the text comes out of a file as it went in")
    func placed() throws {
        let base = try load("label")
        let settings = #"{"num_virtual_tokens": 3, "virtual_token_placement": "template", "encoder_hidden_size": 4}"#
        let section = try ConfigDocument(json: JSONNode.parse(settings)).root
        let installation = try PTuning(section, startingFrom: nil).installWithHead(
            into: base.model, InstallationContext(seed: 5, basePath: "base", isTraining: true))
        let examples = [[-1, 4, 9, -2, -3, 30], [-1, 4, -2, -3], [-1, 17, 20, 3, 3, -2, -3, 1]].map {
            Example(tokens: $0, label: .category(0))
        }
        let found = outputs(base.model, examples)
        guard case .adapter(let configuration, let tensors) = installation.deliver() else {
            Issue.record("no adapter")
            return
        }
        #expect(tensors.map(\.name) == ["placed_prompt_embeddings", "base_model.score.weight"])
        let scratch = try Scratch()
        try AdapterFolder.write(
            configuration: configuration,
            tensors: tensors.map { OutgoingTensor($0.name, $0.tensor, as: .float32) }, to: scratch.path)
        let again = try load("label")
        let adapter = try AdapterFolder(path: scratch.path, warn: { Issue.record($0) })
        #expect(try adapter.placesVirtualTokens && LabelSet(of: adapter) == .unnamed(3))
        _ = try again.install(adapter, InstallationContext(seed: 6, basePath: "base", isTraining: false))
        #expect(outputs(again.model, examples) == found)
    }

    @Test("trains as with the Trainer: losses, norms and outputs of 30 steps within 1e-4", arguments: cases)
    func training(_ method: String, name: String) throws {
        let expected = try expected().required(name)
        let target = try expected.string("target")
        let (base, examples) = (try load(target), try examples(target))
        let installation = try install(method, name, into: base.model)
        let optimizer = AdamW(
            installation.trainable,
            AdamW.Settings(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, maximumNorm: 1))
        let runner = StepRunner(model: base.model, installation: installation, optimizer: optimizer, seed: 1)
        let batches = stride(from: 0, to: examples.count, by: 8).map {
            TokenBatch(Array(examples[$0..<min($0 + 8, examples.count)]))
        }
        let losses = try expected.array("losses").map { try $0.asNumber() }
        let norms = try expected.array("grad_norms").map { try $0.asNumber() }
        try #require(losses.count == 30 && norms.count == 30)
        for step in 0..<30 {
            let factor = LearningRateSchedule(.linear).factor(step: step, warmup: 3, total: 30)
            let result = runner.step(
                [batches[step % batches.count]], firstPass: step,
                learningRate: try expected.number("learning_rate") * factor)
            #expect(abs(result.loss - losses[step]) <= 1e-4 * losses[step], "loss of step \(step)")
            #expect(abs(result.gradientNorm - norms[step]) <= 1e-4 * norms[step], "norm of step \(step)")
        }
        #expect(try difference(outputs(base.model, examples), expected.array("outputs")) <= 1e-4)
    }

    /// The method with the settings and values that its fixture begins with.
    private func install(_ method: String, _ name: String, into model: any LanguageModel) throws -> any Installation {
        var settings: [JSONValue.Member] = [.init("num_virtual_tokens", 3)]
        // peft has none.
        if method == "p_tuning_v2" { settings.append(.init("prefix_dropout", 0)) }
        switch name {
        case "prefix-projection":
            settings += [.init("prefix_projection", true), .init("encoder_hidden_size", 5)]
        case "ptuning-mlp": settings.append(.init("encoder_hidden_size", 7))
        case "ptuning-lstm":
            settings += [
                .init("encoder_reparameterization_type", "LSTM"), .init("encoder_hidden_size", 4),
                .init("encoder_num_layers", 1),
            ]
        default: break
        }
        let section = try ConfigDocument(json: JSONNode.parse(JSONValue.object(settings).text(.compact))).root
        let type = try #require(methods.first { $0.name == method })
        let installation = try make(type, section).installWithHead(
            into: model, InstallationContext(seed: 1, basePath: "base", isTraining: true))
        let adapter = try SafetensorsFile(path: Self.folder + name + "/adapter_model.safetensors", warn: { _ in })
        let encoders = try SafetensorsFile(path: Self.folder + "start.safetensors", warn: { _ in })
        for parameter in installation.trainable {
            let start =
                switch parameter.name {
                case "score.weight": try adapter.tensor(named: "base_model.score.weight")
                case "prompt_embeddings": try adapter.tensor(named: parameter.name)
                default: try encoders.tensor(named: "\(name).\(parameter.name)")
                }
            try #require(start.shape == parameter.tensor.shape, "\(parameter.name)")
            parameter.tensor.data.update(from: start.data, count: start.count)
        }
        return installation
    }

    private func make<Method: PEFTMethod>(_ type: Method.Type, _ section: ConfigSection) throws -> any PEFTMethod {
        try type.init(section, startingFrom: nil)
    }
}
