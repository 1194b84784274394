import Glibc
import Tensors
import TestSupport
import Testing

struct AttentionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var lengths: [Int]
        var heads: AttentionHeads
        var isCausal = true
        var dropout: Dropout?

        var testDescription: String { "\(lengths) \(heads.count)/\(heads.keyValueCount)×\(heads.size) \(isCausal)" }
        var offsets: [Int] { lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) } }
    }

    static let cases = [
        Case(lengths: [1], heads: AttentionHeads(count: 1, keyValueCount: 1, size: 4)),
        Case(lengths: [5, 1, 9], heads: AttentionHeads(count: 2, keyValueCount: 2, size: 8)),
        Case(lengths: [70, 3], heads: AttentionHeads(count: 2, keyValueCount: 2, size: 16)),
        Case(lengths: [17, 16], heads: AttentionHeads(count: 4, keyValueCount: 2, size: 5)),
        Case(lengths: [9], heads: AttentionHeads(count: 3, keyValueCount: 1, size: 20)),
        Case(lengths: [67, 10], heads: AttentionHeads(count: 1, keyValueCount: 1, size: 32), isCausal: false),
        Case(lengths: [0, 6, 0], heads: AttentionHeads(count: 1, keyValueCount: 1, size: 80)),
        Case(
            lengths: [20, 66], heads: AttentionHeads(count: 2, keyValueCount: 1, size: 7),
            dropout: Dropout(probability: 0.3, key: 77)),
    ]

    @Test("output and gradients match the formula in double precision", arguments: cases)
    func matchesFormula(_ given: Case) {
        let rows = given.offsets.last ?? 0
        let qkv = Tensor(
            noise(rows * given.heads.packedWidth, seed: 3, scale: 2), shape: [rows, given.heads.packedWidth])
        let factors = dropoutFactors(given)
        let found = deviation(
            of: { inputs in
                attention(
                    inputs[0], offsets: given.offsets, heads: given.heads, scale: 0.37, isCausal: given.isCausal,
                    dropout: given.dropout)
            },
            from: { inputs in reference(inputs[0], given, scale: 0.37, factors: factors) }, at: [qkv],
            elementsPerInput: 120)
        #expect(found.forward < 1e-5)
        #expect(found.backward < 1e-4)
    }

    /// The factors that the op applies, read off by attending to values of which one is 1: with all scores equal the
    /// output is factor / keys seen.
    private func dropoutFactors(_ given: Case) -> (_ head: Int, _ query: Int, _ key: Int) -> Double {
        guard let dropout = given.dropout else { return { _, _, _ in 1 } }
        let (rows, longest) = (given.offsets.last ?? 0, given.lengths.max() ?? 0)
        let ones = Tensor(repeating: 1, [given.heads.count * rows * longest])
        let thinned = Tensors.dropout(ones, dropout).values
        return { head, query, key in Double(thinned[(head * rows + query) * longest + key]) }
    }

    /// Plain attention, one row after the other.
    private func reference(
        _ qkv: [Double], _ given: Case, scale: Double, factors: (_ head: Int, _ query: Int, _ key: Int) -> Double
    ) -> [Double] {
        let (heads, size, width) = (given.heads, given.heads.size, given.heads.packedWidth)
        var output = [Double](repeating: 0, count: (given.offsets.last ?? 0) * heads.outputWidth)
        for (start, end) in zip(given.offsets, given.offsets.dropFirst()) {
            for head in 0..<heads.count {
                let group = head / (heads.count / heads.keyValueCount)
                for query in start..<end {
                    let keys = start..<(given.isCausal ? query + 1 : end)
                    let scores = keys.map { key in
                        (0..<size).reduce(0.0) {
                            $0 + qkv[query * width + head * size + $1]
                                * qkv[key * width + (heads.count + group) * size + $1]
                        } * scale
                    }
                    let largest = scores.max() ?? 0
                    let exponentials = scores.map { exp($0 - largest) }
                    let sum = exponentials.reduce(0, +)
                    for (key, value) in zip(keys, exponentials) {
                        let p = value / sum * factors(head, query, key - start)
                        for i in 0..<size {
                            let v = qkv[key * width + (heads.count + heads.keyValueCount + group) * size + i]
                            output[query * heads.outputWidth + head * size + i] += p * v
                        }
                    }
                }
            }
        }
        return output
    }
}
