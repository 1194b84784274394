import Checkpoints
import FoundationEssentials
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

/// Learned prompts that peft wrote, from `scripts/fixtures/prompts.py`.
@Suite("A learned prompt of peft's") struct PromptAdapterTests {
    static let names = ["prompt", "prompt-saved-norm", "prefix", "prefix-projection", "ptuning-lstm"]

    private func expected() throws -> JSONNode { try JSONNode.load(path: fixture("prompts/expected.json").path()) }

    private func ids(_ node: JSONNode) throws -> [Int32] { try node.asArray().map { Int32(try $0.asInteger()) } }

    @Test("is in the list here") func lists() throws {
        #expect(try expected().object("adapters").map(\.key).sorted() == Self.names.sorted())
    }

    @Test("gives peft's logits within 1e-5, and the base's to the bit once removed", arguments: names)
    func logits(name: String) throws {
        let sequences = try expected().array("sequences").map(ids)
        let tensors = try SafetensorsFile(path: fixture("prompts/expected.safetensors").path(), warn: { _ in })
        let base = try BaseModel.quietly(fixture("adapters/base").path())
        let before = base.logits(sequences[2])
        let installation = try base.install(adapter: fixture("prompts/\(name)").path())
        for (index, sequence) in sequences.enumerated() {
            let reference = try tensors.raw(named: "\(name).\(index)").doubles()
            #expect(relativeDifference(base.logits(sequence), reference) <= 1e-5, "sequence \(index)")
        }
        installation.remove()
        #expect(base.logits(sequences[2]) == before)
    }

    @Test("is continued greedily as transformers and peft do, alone and among others", arguments: names)
    func greedy(name: String) throws {
        let (expected, base) = (try expected(), try BaseModel.quietly(fixture("adapters/base").path()))
        let prompt = try ids(expected.required("prompt"))
        let text = try ids(expected.required("adapters").required(name).required("greedy"))
        _ = try base.install(adapter: fixture("prompts/\(name)").path())
        let generator = Generator(
            model: base.model, endIDs: [], settings: GenerationSettings(maximumNewTokens: 9, sampling: nil))
        #expect(try generator.generate([prompt], firstIndex: 0).map(\.tokens) == [text])
        let others = try generator.generate([[1, 2, 3, 4, 5, 6], prompt, [9]], firstIndex: 0)
        #expect(others[1].tokens == text)
    }

    @Test("leaves fewer positions to texts, of which it says how many")
    func positions() throws {
        let base = try BaseModel.quietly(fixture("adapters/base").path())
        let installation = try base.install(adapter: fixture("prompts/prefix").path())
        #expect(base.model.maximumLength == 19)
        let generator = Generator(
            model: base.model, endIDs: [], settings: GenerationSettings(maximumNewTokens: 50, sampling: nil))
        let result = try generator.generate([[1, 2, 3]], firstIndex: 0)[0]
        #expect(result.tokens.count == 16 && result.stop == .lengthLimit)
        installation.remove()
        #expect(base.model.maximumLength == 24)
    }

    @Test("for a model of other sizes is an error, and so is one without its vectors")
    func foreign() throws {
        let scratch = try Scratch()
        try scratch.copy("prompts/prefix/adapter_config.json", to: "adapter_config.json")
        try SafetensorsWriter.write([], to: scratch("adapter_model.safetensors"))
        let base = try BaseModel.quietly(fixture("train/base").path())
        #expect(
            complaint(in: scratch.path) { _ = try base.install(adapter: scratch.path) }
                == "adapter_config.json:9:17: error: num_layers: the adapter is for a model with a number of layers of 3, "
                + "and this one has 2: they don't belong together")
        let other = try BaseModel.quietly(fixture("adapters/base").path())
        #expect(
            complaint(in: scratch.path) { _ = try other.install(adapter: scratch.path) }
                == "adapter_model.safetensors: error: prompt_embeddings: is missing; shape [5, 144] is expected")
        #expect(other.model.prompt == nil)
    }

    @Test("can't be merged, and says so", arguments: names)
    func merging(name: String) throws {
        let scratch = try Scratch()
        let adapter = fixture("prompts/\(name)").path()
        let method =
            name.hasPrefix("prefix") ? "prefix_tuning" : name.hasPrefix("prompt") ? "prompt_tuning" : "p_tuning"
        #expect(
            complaint(in: scratch.path) {
                _ = try merge(
                    MergeSettings(
                        base: fixture("adapters/base").path(), adapters: [.init(path: adapter, weight: 1)],
                        output: scratch("merged"), elementType: nil, overwrites: false), warn: { _ in })
            }
                == "\(adapter): error: an adapter of the method \(method) can't be merged: a learned prompt is part of the "
                + "sequences and not of the weights; use the adapter beside its base model")
    }
}
