import CVectors
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
        /// Keys and values in front of every sequence's own.
        var prefix = 0

        var testDescription: String {
            "\(lengths) \(heads.count)/\(heads.keyValueCount)×\(heads.size) \(isCausal) behind \(prefix)"
        }
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
        Case(lengths: [1], heads: AttentionHeads(count: 1, keyValueCount: 1, size: 4), prefix: 1),
        Case(lengths: [5, 1, 0, 9], heads: AttentionHeads(count: 2, keyValueCount: 2, size: 8), prefix: 3),
        Case(lengths: [70, 3], heads: AttentionHeads(count: 2, keyValueCount: 2, size: 16), prefix: 130),
        Case(lengths: [17, 66], heads: AttentionHeads(count: 4, keyValueCount: 2, size: 5), prefix: 20),
        Case(lengths: [9], heads: AttentionHeads(count: 3, keyValueCount: 1, size: 20), isCausal: false, prefix: 7),
        Case(
            lengths: [20, 66], heads: AttentionHeads(count: 2, keyValueCount: 1, size: 7),
            dropout: Dropout(probability: 0.3, key: 77), prefix: 5),
        Case(
            lengths: [200], heads: AttentionHeads(count: 1, keyValueCount: 1, size: 8),
            dropout: Dropout(probability: 0.2, key: 78)),
        Case(lengths: [130], heads: AttentionHeads(count: 1, keyValueCount: 1, size: 4), prefix: 20),
    ]

    @Test("output and gradients match the formula in double precision", arguments: cases)
    func matchesFormula(_ given: Case) {
        let rows = given.offsets.last ?? 0
        let qkv = Tensor(
            noise(rows * given.heads.packedWidth, seed: 3, scale: 2), shape: [rows, given.heads.packedWidth])
        let factors = dropoutFactors(given)
        let shape = [given.prefix, given.heads.keyValueCount * given.heads.size]
        let prefix = [4, 5].map { Tensor(noise(shape[0] * shape[1], seed: $0, scale: 2), shape: shape) }
        let found = deviation(
            of: { inputs in
                attention(
                    inputs[0], prefix: given.prefix > 0 ? KeyValuePrefix(keys: inputs[1], values: inputs[2]) : nil,
                    offsets: given.offsets, heads: given.heads, scale: 0.37, isCausal: given.isCausal,
                    dropout: given.dropout)
            },
            from: { inputs in
                reference(inputs[0], prefix: Array(inputs.dropFirst()), given, scale: 0.37, factors: factors)
            },
            at: [qkv] + (given.prefix > 0 ? prefix : []), elementsPerInput: 120)
        #expect(found.forward < 1e-5)
        #expect(found.backward < 1e-4)
    }

    @Test(
        "sixteen floats at a time give the bits of eight, where the processor has them",
        .enabled(if: peft_has_wide_vectors() != 0), arguments: cases)
    func widths(_ given: Case) {
        let rows = given.offsets.last ?? 0
        let (wide, narrow) = byVectorWidth {
            let qkv = Tensor(
                noise(rows * given.heads.packedWidth, seed: 3, scale: 20), shape: [rows, given.heads.packedWidth])
            let shape = [given.prefix, given.heads.keyValueCount * given.heads.size]
            let prefix = [4, 5].map { Tensor(noise(shape[0] * shape[1], seed: $0, scale: 20), shape: shape) }
            for input in [qkv] + prefix { input.track() }
            let y = attention(
                qkv, prefix: given.prefix > 0 ? KeyValuePrefix(keys: prefix[0], values: prefix[1]) : nil,
                offsets: given.offsets, heads: given.heads, scale: 0.37, isCausal: given.isCausal,
                dropout: given.dropout)
            let values = y.values
            y.backward(seed: Tensor(noise(y.count, seed: 4), shape: y.shape))
            return ([values] + ([qkv] + prefix).map { $0.gradient?.values ?? [] }).map { $0.map(\.bitPattern) }
        }
        #expect(wide == narrow && wide[1].count == rows * given.heads.packedWidth)
    }

    /// The factors that the op applies, read off by attending to values of which one is 1: with all scores equal the
    /// output is factor / keys seen.
    private func dropoutFactors(_ given: Case) -> (_ head: Int, _ query: Int, _ key: Int) -> Double {
        guard let dropout = given.dropout else { return { _, _, _ in 1 } }
        let (rows, longest) = (given.offsets.last ?? 0, (given.lengths.max() ?? 0) + given.prefix)
        let ones = Tensor(repeating: 1, [given.heads.count * rows * longest])
        let thinned = Tensors.dropout(ones, dropout).values
        return { head, query, key in Double(thinned[(head * rows + query) * longest + key]) }
    }

    /// Plain attention, one row after the other.
    private func reference(
        _ qkv: [Double], prefix: [[Double]], _ given: Case, scale: Double,
        factors: (_ head: Int, _ query: Int, _ key: Int) -> Double
    ) -> [Double] {
        let (heads, size, width) = (given.heads, given.heads.size, given.heads.packedWidth)
        var output = [Double](repeating: 0, count: (given.offsets.last ?? 0) * heads.outputWidth)
        for (start, end) in zip(given.offsets, given.offsets.dropFirst()) {
            for head in 0..<heads.count {
                let group = head / (heads.count / heads.keyValueCount)
                // Key or value `row` of the sequence, those of the prefix first.
                func number(_ part: Int, _ row: Int, _ i: Int) -> Double {
                    if row < given.prefix {
                        return prefix[part][(row * heads.keyValueCount + group) * size + i]
                    }
                    let column = (heads.count + part * heads.keyValueCount + group) * size + i
                    return qkv[(start + row - given.prefix) * width + column]
                }
                for query in start..<end {
                    let keys = 0..<given.prefix + (given.isCausal ? query + 1 : end) - start
                    let scores = keys.map { key in
                        (0..<size).reduce(0.0) {
                            $0 + qkv[query * width + head * size + $1] * number(0, key, $1)
                        } * scale
                    }
                    let largest = scores.max() ?? 0
                    let exponentials = scores.map { exp($0 - largest) }
                    let sum = exponentials.reduce(0, +)
                    for (key, value) in zip(keys, exponentials) {
                        let p = value / sum * factors(head, query, key)
                        for i in 0..<size {
                            output[query * heads.outputWidth + head * size + i] += p * number(1, key, i)
                        }
                    }
                }
            }
        }
        return output
    }
}
