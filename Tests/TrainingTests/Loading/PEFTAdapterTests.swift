import Checkpoints
import FoundationEssentials
import JSONText
import Methods
import Tensors
import TestSupport
import Testing
import Training

/// Adapters that peft wrote, from `scripts/fixtures/adapters.py`.
@Suite("An adapter of peft's") struct PEFTAdapterTests {
    static let names = [
        "default", "all-linear", "regex", "full-paths", "excluded", "excluded-regex", "layers", "one-layer",
        "bias-all", "bias-lora-only", "saved-head", "saved-head-and-embedding", "saved-norm", "rslora", "patterns",
        "suffix-patterns", "float16", "bfloat16", "infixed-names", "dropout", "subfolder/first", "subfolder/second",
        "lora-bias", "dora", "dora-embeddings", "embeddings", "head", "head-dora", "pissa", "token-rows",
    ]

    static func expected() throws -> (sequences: [[Int32]], tensors: SafetensorsFile, names: [String]) {
        let cases = try JSONNode.load(path: fixture("adapters/expected.json").path())
        let sequences = try cases.array("sequences").map { try $0.asArray().map { Int32(try $0.asInteger()) } }
        let tensors = try SafetensorsFile(path: fixture("adapters/expected.safetensors").path(), warn: { _ in })
        return (sequences, tensors, try cases.object("adapters").map(\.key))
    }

    @Test("is in one of the lists here") func lists() throws {
        #expect(try Self.expected().names.sorted() == Self.names.sorted())
    }

    @Test("gives peft's logits within 1e-5, also merged, and the base's to the bit once removed", arguments: names)
    func logits(name: String) throws {
        let (sequences, tensors, _) = try Self.expected()
        let base = try BaseModel.quietly(fixture("adapters/base").path())
        let before = base.logits(sequences[0])
        func compare(_ when: String) throws {
            for (index, ids) in sequences.enumerated() {
                let reference = try tensors.raw(named: "\(name).\(index)").doubles()
                // Of the last tokens, which depend on all before them.
                let logits = Array(base.logits(ids).suffix(reference.count))
                #expect(relativeDifference(logits, reference) <= 1e-5, "sequence \(index), \(when)")
            }
        }
        let folder = fixture("adapters/\(name)").path()
        let installation = try base.install(adapter: folder)
        try compare("on")
        installation.remove()
        #expect(base.logits(sequences[0]) == before)
        try base.install(adapter: folder).merge(weight: 1)
        try compare("merged")
    }

    @Test("is found in a folder of its own below the one that is named") func below() throws {
        let scratch = try Scratch()
        try scratch.copy("adapters/subfolder/second/adapter_config.json", to: "run/second/adapter_config.json")
        try scratch.rewrite(
            fixture("adapters/subfolder/second/adapter_model.safetensors").path(),
            to: "run/second/adapter_model.safetensors"
        ) { $0.map { ($0.name, $0.tensor) } }
        let (sequences, tensors, _) = try Self.expected()
        let base = try BaseModel.quietly(fixture("adapters/base").path())
        _ = try base.install(adapter: scratch("run"))
        let reference = try tensors.raw(named: "subfolder/second.0").doubles()
        #expect(relativeDifference(Array(base.logits(sequences[0]).suffix(reference.count)), reference) <= 1e-5)
    }

    @Test("of a form that isn't supported is an error, and so is one of another method") func forms() throws {
        let base = try BaseModel.quietly(fixture("adapters/base").path())
        let scratch = try Scratch()
        try SafetensorsWriter.write([], to: scratch("adapter_model.safetensors"))
        var known: [String] = []
        for type in methods.compactMap({ $0.adapterType.map { "'\($0)'" } }) where !known.contains(type) {
            known.append(type)
        }
        try scratch.write(#"{"peft_type": "NOVELTY"}"#, to: "adapter_config.json")
        #expect(
            complaint(in: scratch.path) { _ = try base.install(adapter: scratch.path) }
                == "adapter_config.json:1:15: error: peft_type: adapters of type 'NOVELTY' aren't supported; "
                + "the supported types are \(known.joined(separator: ", "))")
    }

    @Test("whose tensors are missing, misshapen or left over is one error, and the model stays as it was")
    func tensors() throws {
        let scratch = try Scratch()
        try scratch.copy("adapters/saved-norm/adapter_config.json", to: "adapter_config.json")
        let prefix = "base_model.model.transformer."
        try scratch.rewrite(
            fixture("adapters/saved-norm/adapter_model.safetensors").path(), to: "adapter_model.safetensors"
        ) { tensors in
            tensors.compactMap { name, tensor in
                switch name {
                case prefix + "h.0.attn.c_attn.lora_A.weight", prefix + "ln_f.bias": nil
                case prefix + "h.1.attn.c_attn.lora_B.weight": (name, tensor.reshaped(tensor.shape.reversed()))
                case prefix + "h.2.attn.c_attn.lora_A.weight": (name, Tensor(zeros: [3, 24]))
                default: (name, tensor)
                }
            } + [(prefix + "h.3.attn.c_attn.lora_A.weight", Tensor(zeros: [2, 24])), ("scale", Tensor(zeros: [1]))]
        }
        let base = try BaseModel.quietly(fixture("adapters/base").path())
        let before = base.logits([1, 2, 3])
        #expect(
            complaint(in: scratch.path) { _ = try base.install(adapter: scratch.path) } == """
                adapter_model.safetensors: error: transformer.h.0.attn.c_attn.lora_A.weight: is missing; \
                shape [2, 24] is expected
                adapter_model.safetensors: error: transformer.h.1.attn.c_attn.lora_B.weight: has shape [2, 72], \
                but [72, 2] is expected
                adapter_model.safetensors: error: transformer.h.2.attn.c_attn.lora_A.weight: has shape [3, 24], \
                but [2, 24] is expected
                adapter_model.safetensors: error: transformer.ln_f.bias: is missing; shape [24] is expected
                adapter_model.safetensors: error: scale: is unexpected: the configuration has no place for it
                adapter_model.safetensors: error: transformer.h.3.attn.c_attn.lora_A.weight: is unexpected: \
                the configuration has no place for it
                """)
        #expect(base.logits([1, 2, 3]) == before)
    }
}
