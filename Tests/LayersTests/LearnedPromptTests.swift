import Batches
import Layers
import Tensors
import Testing

@Suite("A batch with a learned prompt in it") struct LearnedPromptTests {
    private final class Prompt: LearnedPrompt {
        let leadingCount: Int
        let placedCount: Int
        let prefixCount: Int
        private(set) var computed = 0

        init(leading: Int = 0, placed: Int = 0, prefix: Int = 0) {
            (leadingCount, placedCount, prefixCount) = (leading, placed, prefix)
        }

        func embeddings(_ context: ForwardContext) -> Tensor? {
            computed += 1
            return Tensor(zeros: [leadingCount + placedCount, 2])
        }

        func prefixes(_ context: ForwardContext) -> LayerPrefixes {
            if prefixCount == 0 { return LayerPrefixes() }
            return LayerPrefixes(own: [
                KeyValuePrefix(keys: Tensor(zeros: [prefixCount, 2]), values: Tensor(zeros: [prefixCount, 2]))
            ])
        }
    }

    private var batch: TokenBatch {
        TokenBatch(tokens: [7, 8, 9], positions: [0, 1, 0], offsets: [0, 2, 2, 3], labels: [-1, 5, 6])
    }

    @Test("has virtual tokens in front of every sequence, and everything else behind them")
    func leading() {
        let prompted = PromptedBatch(batch, rows: [1, 2], Prompt(leading: 2), .inference())
        #expect(
            prompted.batch
                == TokenBatch(
                    tokens: [-1, -2, 7, 8, -1, -2, -1, -2, 9], positions: [0, 1, 2, 3, 0, 1, 0, 1, 2],
                    offsets: [0, 4, 6, 9], labels: [-1, -1, -1, 5, -1, -1, -1, -1, 6]))
        #expect(prompted.rows == [3, 8])
        #expect(prompted.virtualTable?.shape == [2, 2] && prompted.prefixes.isEmpty)
        #expect(PromptedBatch(batch, rows: nil, Prompt(leading: 2), .inference()).rows == [2, 3, 8])
    }

    @Test("only has later positions behind a prefix")
    func prefix() {
        let prompted = PromptedBatch(batch, rows: nil, Prompt(prefix: 3), .inference())
        var expected = batch
        expected.positions = [3, 4, 3]
        #expect(prompted.batch == expected && prompted.rows == nil)
        #expect(prompted.virtualTable == nil && prompted.prefixes.map(\.count) == [3])
    }

    @Test("stays as it is where the data places the virtual tokens, or nothing was learned")
    func placed() {
        var placed = batch
        placed.tokens = [-1, 8, -2]
        let prompted = PromptedBatch(placed, rows: [0], Prompt(placed: 2), .inference())
        #expect(prompted.batch == placed && prompted.rows == [0] && prompted.virtualTable?.shape == [2, 2])
        let prompt = Prompt(placed: 2)
        #expect(PromptedBatch(batch, rows: nil, prompt, .inference()).virtualTable == nil && prompt.computed == 0)
        let plain = PromptedBatch(batch, rows: [2], nil, .inference())
        #expect(plain.batch == batch && plain.rows == [2])
    }

    @Test("begins only those sequences that a cache doesn't hold yet")
    func cached() {
        let heads = AttentionHeads(count: 1, keyValueCount: 1, size: 2)
        let cache = KeyValueCache(layerCount: 1, sequences: 1, capacity: 4, width: 2)
        _ = cache.attend(.packed(Tensor(zeros: [3, 6])), layer: 0, offsets: [0, 3], heads: heads, scale: 1)
        cache.append(KeyValueCache(layerCount: 1, sequences: 1, capacity: 4, width: 2))
        let batch = TokenBatch(tokens: [7, 8], positions: [1, 0], offsets: [0, 1, 2], labels: [-1, -1])
        let prompted = PromptedBatch(batch, rows: nil, Prompt(leading: 2), .inference(cache: cache))
        #expect(
            prompted.batch
                == TokenBatch(
                    tokens: [7, -1, -2, 8], positions: [3, 0, 1, 2], offsets: [0, 1, 4], labels: [-1, -1, -1, -1]))
        #expect(prompted.rows == [0, 3])
        let continued = PromptedBatch(
            TokenBatch(tokens: [7], positions: [1], offsets: [0, 1], labels: [-1]), rows: nil, Prompt(leading: 2),
            .inference(
                cache: {
                    cache.keep([0]); return cache
                }()))
        #expect(continued.batch.positions == [3] && continued.rows == nil && continued.virtualTable == nil)
    }
}
