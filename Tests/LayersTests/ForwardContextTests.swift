import Layers
import Tensors
import Testing

@Suite("A forward pass") struct ForwardContextTests {
    @Test("drops nothing in inference, nor where the probability is 0")
    func none() {
        #expect(ForwardContext.inference().dropout(0.5) == nil)
        #expect(ForwardContext.training(seed: 1, pass: 0).dropout(0) == nil)
    }

    @Test("draws other choices for every dropout of every pass of every seed, and the same ones again")
    func keys() {
        func keys(seed: UInt64, pass: UInt64) -> [UInt64] {
            let context = ForwardContext.training(seed: seed, pass: pass)
            return (0..<20).compactMap { _ in context.dropout(0.1)?.key }
        }
        var all: [UInt64] = []
        for seed in 0..<10 as Range<UInt64> {
            for pass in 0..<10 as Range<UInt64> { all += keys(seed: seed, pass: pass) }
        }
        #expect(Set(all).count == 2000)
        #expect(keys(seed: 3, pass: 4) == keys(seed: 3, pass: 4))
    }

    @Test("takes its memory along")
    func cache() {
        let cache = KeyValueCache(layerCount: 1, sequences: 1, capacity: 1, width: 1)
        #expect(ForwardContext.inference(cache: cache).cache === cache)
        #expect(ForwardContext.training(seed: 1, pass: 0).cache == nil)
    }
}
