import Tensors
import TestSupport
import Testing

struct EmbeddingNoiseTests {
    private let noiseOfAll = EmbeddingNoise(magnitude: 0.25, key: 42)

    @Test("is uniform between both bounds, for each element its own, and the same for the same key")
    func uniform() {
        let x = Tensor(zeros: [1000, 37])
        let tokens = [Int32](repeating: 0, count: 1000)
        let values = addNoise(x, noiseOfAll, tokens: tokens).values.map(Double.init)
        #expect(values.allSatisfy { abs($0) <= 0.25 })
        let mean = values.reduce(0, +) / Double(values.count)
        let variance = values.reduce(0) { $0 + $1 * $1 } / Double(values.count)
        #expect(abs(mean) < 0.003)
        // (2m)² / 12
        #expect(abs(variance - 0.25 / 12) < 0.0005)
        #expect(Set(values).count > 36_000)
        #expect(addNoise(x, noiseOfAll, tokens: tokens).values.map(Double.init) == values)
        let other = addNoise(x, EmbeddingNoise(magnitude: 0.25, key: 43), tokens: tokens).values.map(Double.init)
        #expect(zip(values, other).filter { $0 == $1 }.count < 10)
    }

    @Test("leaves virtual tokens as they are, and gradients", arguments: [1, 5, 8, 19])
    func rows(width: Int) {
        let x = Tensor(noise(4 * width), shape: [4, width])
        x.track()
        let y = addNoise(x, noiseOfAll, tokens: [3, -1, 0, -2])
        for row in 0..<4 {
            let range = row * width..<(row + 1) * width
            #expect((Array(y.values[range]) == Array(x.values[range])) == (row % 2 == 1))
        }
        let seed = Tensor(noise(4 * width, seed: 2), shape: [4, width])
        y.backward(seed: seed)
        #expect(x.gradient?.values == seed.values)
    }
}
