import Testing
import Training

@Suite("Sampling") struct SamplerTests {
    /// Probabilities 1/2, 1/4, 1/8, 1/8 after a softmax.
    static let logits: [Float] = [0.693_147_18, 1.386_294_4, 0, 0]

    private func kept(
        _ logits: [Float], temperature: Double = 1, topK: Int? = nil, topP: Double? = nil
    ) -> [Sampler.Choice] {
        let settings = SamplingSettings(temperature: temperature, topK: topK, topP: topP, seed: 0)
        return logits.withUnsafeBufferPointer { Sampler.choices($0, settings) }
    }

    private func draw(_ logits: [Float], count: Int, seed: UInt64, index: Int) -> [Int32] {
        var sampler = Sampler(SamplingSettings(temperature: 1, topK: nil, topP: nil, seed: seed), index: index)
        return (0..<count).map { _ in logits.withUnsafeBufferPointer { sampler.choose($0) } }
    }

    @Test("divides by the temperature") func temperature() {
        let choices = kept(Self.logits, temperature: 0.5)
        let expected = [4.0 / 22, 16.0 / 22, 1.0 / 22, 1.0 / 22]
        #expect(zip(choices, expected).allSatisfy { ($0.probability - $1).magnitude < 1e-6 })
    }

    @Test("with top-k keeps the k largest logits and all that equal the last of them")
    func topK() {
        #expect(kept(Self.logits, topK: 1).map(\.token) == [1])
        #expect(kept(Self.logits, topK: 2).map(\.token) == [0, 1])
        #expect(kept(Self.logits, topK: 3).map(\.token) == [0, 1, 2, 3])
        #expect(kept(Self.logits, topK: 100).map(\.token) == [0, 1, 2, 3])
        #expect(kept(Self.logits, topK: 2).map { ($0.probability * 3).rounded() } == [1, 2])
    }

    @Test(
        "with top-p drops the least likely while their sum is at most 1 − p",
        arguments: [
            (1.0, [0, 1, 2, 3]), (0.999, [0, 1, 2, 3]), (0.9, [0, 1, 2, 3]), (0.8749, [0, 1, 3]), (0.76, [0, 1, 3]),
            (0.7499, [0, 1]), (0.51, [0, 1]), (0.4999, [1]), (0.001, [1]),
        ] as [(Double, [Int32])])
    func topP(share: Double, tokens: [Int32]) {
        #expect(kept(Self.logits, topP: share).map(\.token) == tokens)
    }

    @Test("applies top-p to what top-k left") func topKThenTopP() {
        // 1/3 and 2/3 are left: dropping 1/3 needs 1 − p ≥ 1/3.
        #expect(kept(Self.logits, topK: 2, topP: 0.66).map(\.token) == [1])
        #expect(kept(Self.logits, topK: 2, topP: 0.67).map(\.token) == [0, 1])
    }

    @Test("takes logits of any size, and never a token that has −∞") func extremes() {
        #expect(kept([1e30, 0, -.infinity]).map(\.probability) == [1, 0, 0])
        #expect(kept([3, -.infinity, 3], topP: 0.999).map(\.token) == [0, 2])
        #expect(!draw([-.infinity, 1, -.infinity, 0], count: 1000, seed: 1, index: 0).contains { $0 == 0 || $0 == 2 })
    }

    @Test("draws by the probabilities") func frequencies() {
        let draws = draw(Self.logits, count: 80_000, seed: 7, index: 3)
        for (token, share) in [(0, 0.25), (1, 0.5), (2, 0.125), (3, 0.125)] {
            let found = Double(draws.count { $0 == Int32(token) }) / 80_000
            // Five standard deviations.
            #expect((found - share).magnitude < 5 * (share * (1 - share) / 80_000).squareRoot())
        }
    }

    @Test("depends on the seed and the prompt's number alone") func seeds() {
        let first = draw(Self.logits, count: 50, seed: 7, index: 3)
        #expect(draw(Self.logits, count: 50, seed: 7, index: 3) == first)
        #expect(draw(Self.logits, count: 50, seed: 8, index: 3) != first)
        #expect(draw(Self.logits, count: 50, seed: 7, index: 4) != first)
    }

    @Test("without a temperature takes the first of the largest logits")
    func greedy() {
        #expect([0, 2, 2, 1].withUnsafeBufferPointer { greedyChoice($0) } == 1)
        #expect([-.infinity, -.infinity].withUnsafeBufferPointer { greedyChoice($0) } == 0)
        #expect([1, .nan, 2].withUnsafeBufferPointer { greedyChoice($0) } == 1)
    }
}
