import Checkpoints
import FoundationEssentials
import JSONText
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

/// Adapters that peft trained on an enlarged vocabulary, from `scripts/fixtures/vocabulary.py`.
@Suite("An adapter of peft's for an enlarged vocabulary") struct EnlargedVocabularyTests {
    static let names = [
        "plain", "head", "embedding", "saved-head", "saved-embedding", "token-rows", "adalora", "ia3", "prompt",
    ]
    private static let size = 26
    private static let small = fixture("vocabulary/base").path()

    private static func path(_ name: String) -> String { fixture("vocabulary/\(name)").path() }

    /// The base with its vocabulary enlarged as well, by rows that aren't the adapters'.
    private func enlargedBase(in scratch: Scratch) throws -> String {
        let config = try JSONNode.load(path: Self.small + "/config.json").asObject().map { member in
            JSONValue.Member(member.key, member.key == "vocab_size" ? .integer(Self.size) : member.value.plain)
        }
        try scratch.write(JSONValue.object(config).text(.indented), to: "large/config.json")
        try scratch.rewrite(Self.small + "/model.safetensors", to: "large/model.safetensors") { tensors in
            tensors.map { name, tensor in
                guard name.hasSuffix("wte.weight") else { return (name, tensor) }
                let width = tensor.columnCount
                return (
                    name,
                    Tensor(
                        tensor.values + noise((Self.size - tensor.rowCount) * width), shape: [Self.size, width])
                )
            }
        }
        return scratch("large")
    }

    /// How far the logits are from peft's with the adapter.
    private func difference(_ base: BaseModel, from name: String) throws -> Double {
        let cases = try JSONNode.load(path: fixture("vocabulary/expected.json").path())
        let tensors = try SafetensorsFile(path: fixture("vocabulary/expected.safetensors").path(), warn: { _ in })
        var worst = 0.0
        for (index, sequence) in try cases.array("sequences").enumerated() {
            let ids = try sequence.asArray().map { Int32(try $0.asInteger()) }
            let logits = base.logits(ids).suffix(ids.count * Self.size)
            worst = max(
                worst, relativeDifference(Array(logits), try tensors.raw(named: "\(name).\(index)").doubles()))
        }
        return worst
    }

    @Test("is in the list here") func lists() throws {
        let cases = try JSONNode.load(path: fixture("vocabulary/expected.json").path())
        #expect(try cases.array("adapters").map { try $0.asString() } == Self.names)
    }

    @Test("gives peft's logits within 1e-5 on a base of that size, which is as before to the bit once it is removed")
    func logits() throws {
        let scratch = try Scratch()
        let base = try BaseModel.quietly(enlargedBase(in: scratch))
        let before = base.logits([1, 25, 2])
        for name in Self.names {
            let installation = try base.install(adapter: Self.path(name))
            #expect(try difference(base, from: name) <= 1e-5, "\(name)")
            installation.remove()
            #expect(base.logits([1, 25, 2]) == before, "\(name)")
        }
    }

    @Test("merges into a model that gives peft's logits", arguments: names.filter { $0 != "prompt" })
    func merging(name: String) throws {
        let scratch = try Scratch()
        let large = try enlargedBase(in: scratch)
        let summary = try merge(
            MergeSettings(
                base: large, adapters: [.init(path: Self.path(name), weight: 1)], output: scratch("merged"),
                elementType: nil, overwrites: false), warn: { Issue.record("unexpected: \($0)") })
        #expect(try difference(BaseModel.quietly(scratch("merged")), from: name) <= 1e-5)
        #expect(summary.untiedHead == ["head", "embedding", "saved-head", "saved-embedding"].contains(name))
    }

    @Test(
        "merges by half as the sum of weighted changes has it",
        arguments: ["plain", "head", "embedding", "saved-head", "token-rows"])
    func halves(name: String) throws {
        let scratch = try Scratch()
        let large = try enlargedBase(in: scratch)
        let base = try BaseModel.quietly(large)
        try base.install(adapter: Self.path(name)).merge(weight: 0.5)
        // Which asks the adapter for the whole and weighs the changes itself.
        _ = try merge(
            MergeSettings(
                base: large, adapters: [.init(path: Self.path(name), weight: 0.5)], output: scratch("merged"),
                elementType: nil, overwrites: false), warn: { Issue.record("unexpected: \($0)") })
        let merged = try BaseModel.quietly(scratch("merged"))
        #expect(
            relativeDifference(base.logits([24, 3, 7]), merged.logits([24, 3, 7]).map(Double.init)) <= 1e-5)
    }

    @Test(
        "is one error on a base of another size, which says what to do, and the base stays as it was", arguments: names)
    func refusal(name: String) throws {
        let base = try BaseModel.quietly(Self.small)
        let before = base.logits([1, 2, 3])
        let keys = [
            "head": "lm_head.base_layer.weight", "embedding": "transformer.wte.base_layer.weight",
            "saved-embedding": "transformer.wte.original_module.weight",
            "token-rows": "transformer.wte.token_adapter.base_layer.weight",
        ]
        #expect(
            complaint(in: Self.path(name)) {
                _ = try base.install(adapter: Self.path(name))
            }
                == "adapter_model.safetensors: error: \(keys[name] ?? "transformer.wte.weight"): holds 26 tokens, but the "
                + "model has 23: the adapter was trained after the vocabulary was resized; give the base model that it was "
                + "trained on, or make one in transformers by resize_token_embeddings(26) and save_pretrained")
        #expect(base.logits([1, 2, 3]) == before)
    }

    @Test("is delivered with its tables, and a run that goes on from that can read them", arguments: names)
    func delivery(name: String) throws {
        let scratch = try Scratch()
        let large = try enlargedBase(in: scratch)
        let installation = try BaseModel.quietly(large).install(adapter: Self.path(name))
        guard case .adapter(let configuration, let tensors) = installation.deliver() else {
            Issue.record("no adapter was delivered")
            return
        }
        let folder = scratch("delivered")
        try scratch.write("", to: "delivered/empty")
        try AdapterFolder.write(
            configuration: configuration, tensors: tensors.map { OutgoingTensor($0.name, $0.tensor, as: .float32) },
            to: folder)
        // All that peft wrote, less what it wrote twice.
        let file = try SafetensorsFile(path: Self.path(name) + "/adapter_model.safetensors", warn: { _ in })
        let written = file.tensors.map(\.name).filter {
            !$0.hasSuffix(".modules_to_save.weight") && !$0.hasSuffix("lm_head.token_adapter.trainable_tokens_delta")
        }
        #expect(tensors.map(\.name).sorted() == written.sorted())
        let other = try BaseModel.quietly(large)
        let second = try other.install(adapter: folder)
        #expect(try difference(other, from: name) <= 1e-5)
        // A run that goes on has the tables already.
        let again = try AdapterFolder(path: folder, warn: { _ in })
        let found = try again.entries.map { ($0.path, try again.tensor($0)) }
        try second.load(Dictionary(uniqueKeysWithValues: found), file: "file")
        #expect(try difference(other, from: name) <= 1e-5)
    }
}
