import Checkpoints
import Diagnostics
import FoundationEssentials
import Tensors
import TestSupport
import Testing

@Suite("The weights of a model folder") struct ModelWeightsTests {
    private func open(_ name: String) throws -> ModelWeights {
        try ModelWeights(folder: fixture("gpt2/\(name)").path()) { Issue.record("\($0)") }
    }

    @Test("are found under one file's names")
    func single() throws {
        let weights = try open("forward-float32")
        #expect(!weights.isSharded)
        let entry = try #require(weights.entry(named: "transformer.h.0.attn.c_attn.weight"))
        let tensor = try weights.tensor(named: entry.name)
        #expect(tensor.shape == entry.shape && tensor.isReadOnly)
        #expect(weights.entry(named: "transformer.h.99.attn.c_attn.weight") == nil)
    }

    @Test("are found over all shards, and it is known which one holds each")
    func sharded() throws {
        let weights = try open("forward-sharded")
        #expect(weights.isSharded && weights.shards.count == 6)
        for tensor in weights.tensors {
            #expect(weights.shard(of: tensor.name)?.entry(named: tensor.name) == tensor)
            #expect(try weights.tensor(named: tensor.name).shape == tensor.shape)
        }
    }
}
