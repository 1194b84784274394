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
        var window: Int?
        var hasBias = false

        var testDescription: String {
            "\(lengths) \(heads.count)/\(heads.keyValueCount)×\(heads.size) \(isCausal) behind \(prefix)"
                + (window.map { " within \($0)" } ?? "") + (hasBias ? ", biased" : "")
        }
        /// The longest sequence of keys.
        var longest: Int { (lengths.max() ?? 0) + prefix }
        /// Terms for all distances, and two more on either side.
        var distanceCount: Int { 2 * longest + 3 }
        var bias: Tensor { Tensor(noise(heads.count * distanceCount, seed: 6), shape: [heads.count, distanceCount]) }

        func bias(_ table: Tensor) -> AttentionBias? {
            hasBias ? AttentionBias(table: table, origin: longest + 1) : nil
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
        Case(lengths: [9, 4], heads: AttentionHeads(count: 2, keyValueCount: 1, size: 4), window: 1),
        Case(lengths: [40, 3], heads: AttentionHeads(count: 2, keyValueCount: 1, size: 5), window: 7),
        Case(lengths: [300, 70], heads: AttentionHeads(count: 2, keyValueCount: 2, size: 8), window: 65),
        Case(lengths: [530], heads: AttentionHeads(count: 1, keyValueCount: 1, size: 4), window: 20),
        Case(
            lengths: [200], heads: AttentionHeads(count: 1, keyValueCount: 1, size: 8),
            dropout: Dropout(probability: 0.2, key: 78), prefix: 5, window: 130),
        Case(lengths: [1], heads: AttentionHeads(count: 1, keyValueCount: 1, size: 4), hasBias: true),
        Case(lengths: [5, 1, 0, 9], heads: AttentionHeads(count: 2, keyValueCount: 2, size: 8), hasBias: true),
        Case(
            lengths: [70, 3], heads: AttentionHeads(count: 4, keyValueCount: 2, size: 5), isCausal: false,
            hasBias: true),
        Case(
            lengths: [150, 20], heads: AttentionHeads(count: 2, keyValueCount: 1, size: 7),
            dropout: Dropout(probability: 0.3, key: 77), prefix: 5, hasBias: true),
        Case(
            lengths: [300, 70], heads: AttentionHeads(count: 2, keyValueCount: 2, size: 8), window: 65, hasBias: true),
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
                    .packed(inputs[0]),
                    prefix: given.prefix > 0 ? KeyValuePrefix(keys: inputs[1], values: inputs[2]) : nil,
                    offsets: given.offsets, heads: given.heads, scale: 0.37, isCausal: given.isCausal,
                    window: given.window, bias: given.bias(inputs[inputs.count - 1]), dropout: given.dropout)
            },
            from: { inputs in
                reference(
                    inputs[0], prefix: Array(inputs.dropFirst()), bias: inputs[inputs.count - 1], given, scale: 0.37,
                    factors: factors)
            },
            at: [qkv] + (given.prefix > 0 ? prefix : []) + (given.hasBias ? [given.bias] : []), elementsPerInput: 120)
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
            let bias = given.bias
            for input in [qkv, bias] + prefix { input.track() }
            let y = attention(
                .packed(qkv), prefix: given.prefix > 0 ? KeyValuePrefix(keys: prefix[0], values: prefix[1]) : nil,
                offsets: given.offsets, heads: given.heads, scale: 0.37, isCausal: given.isCausal,
                window: given.window, bias: given.bias(bias), dropout: given.dropout)
            let values = y.values
            y.backward(seed: Tensor(noise(y.count, seed: 4), shape: y.shape))
            return ([values] + ([qkv, bias] + prefix).map { $0.gradient?.values ?? [] }).map { $0.map(\.bitPattern) }
        }
        #expect(wide == narrow && wide[1].count == rows * given.heads.packedWidth)
    }

    @Test("queries, keys and values in matrices of their own give the bits of one matrix", arguments: cases)
    func separate(_ given: Case) {
        let (rows, heads) = (given.offsets.last ?? 0, given.heads)
        let qkv = Tensor(noise(rows * heads.packedWidth, seed: 3, scale: 2), shape: [rows, heads.packedWidth])
        let shape = [given.prefix, heads.keyValueWidth]
        func columns(_ tensor: Tensor, _ range: Range<Int>) -> Tensor {
            let values = tensor.values
            return Tensor(
                (0..<rows).flatMap { row in range.map { values[row * heads.packedWidth + $0] } },
                shape: [rows, range.count])
        }
        let ranges = [
            0..<heads.outputWidth, heads.outputWidth..<heads.outputWidth + heads.keyValueWidth,
            heads.outputWidth + heads.keyValueWidth..<heads.packedWidth,
        ]
        func run(_ input: AttentionInput, tracking tensors: [Tensor]) -> (y: [Float], gradients: [Tensor]) {
            let prefix = [4, 5].map { Tensor(noise(shape[0] * shape[1], seed: $0, scale: 2), shape: shape) }
            let bias = given.bias
            for tensor in tensors + prefix + [bias] { tensor.track() }
            let y = attention(
                input, prefix: given.prefix > 0 ? KeyValuePrefix(keys: prefix[0], values: prefix[1]) : nil,
                offsets: given.offsets, heads: heads, scale: 0.37, isCausal: given.isCausal, window: given.window,
                bias: given.bias(bias), dropout: given.dropout)
            let values = y.values
            y.backward(seed: Tensor(noise(y.count, seed: 4), shape: y.shape))
            return (values, (tensors + (given.prefix > 0 ? prefix : []) + [bias]).compactMap(\.gradient))
        }
        let parts = ranges.map { columns(qkv, $0) }
        let packed = run(.packed(qkv), tracking: [qkv])
        let apart = run(.separate(queries: parts[0], keys: parts[1], values: parts[2]), tracking: parts)
        #expect(apart.y == packed.y)
        #expect(apart.gradients.prefix(3).map(\.values) == ranges.map { columns(packed.gradients[0], $0).values })
        #expect(apart.gradients.dropFirst(3).map(\.values) == packed.gradients.dropFirst().map(\.values))
    }

    @Test("keys may have offsets of their own", arguments: [true, false])
    func ownKeys(isCausal: Bool) {
        let heads = AttentionHeads(count: 4, keyValueCount: 2, size: 6)
        let (offsets, keyOffsets) = ([0, 3, 5, 45], [0, 3, 12, 112])
        let queries = Tensor(noise(45 * 24, seed: 1, scale: 2), shape: [45, 24])
        let (keys, values) = (
            Tensor(noise(112 * 12, seed: 2, scale: 2), shape: [112, 12]),
            Tensor(noise(112 * 12, seed: 3), shape: [112, 12])
        )
        let found = deviation(
            of: { inputs in
                attention(
                    .separate(queries: inputs[0], keys: inputs[1], values: inputs[2]), offsets: offsets,
                    keyOffsets: keyOffsets, heads: heads, scale: 0.3, isCausal: isCausal, dropout: nil)
            },
            from: { inputs in
                var output = [Double](repeating: 0, count: 45 * 24)
                for sequence in 0..<3 {
                    let (count, first) = (keyOffsets[sequence + 1] - keyOffsets[sequence], keyOffsets[sequence])
                    let length = offsets[sequence + 1] - offsets[sequence]
                    for head in 0..<4 {
                        for row in 0..<length {
                            let query = offsets[sequence] + row
                            let seen = first..<first + (isCausal ? count - length + row + 1 : count)
                            let exponentials = seen.map { key in
                                exp(
                                    0.3
                                        * (0..<6).reduce(0.0) {
                                            $0 + inputs[0][query * 24 + head * 6 + $1]
                                                * inputs[1][key * 12 + head / 2 * 6 + $1]
                                        })
                            }
                            let sum = exponentials.reduce(0, +)
                            for (key, value) in zip(seen, exponentials) {
                                for i in 0..<6 {
                                    output[query * 24 + head * 6 + i] +=
                                        value / sum * inputs[2][key * 12 + head / 2 * 6 + i]
                                }
                            }
                        }
                    }
                }
                return output
            }, at: [queries, keys, values], elementsPerInput: 150)
        #expect(found.forward < 1e-5)
        #expect(found.backward < 1e-4)
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
        _ qkv: [Double], prefix: [[Double]], bias: [Double], _ given: Case, scale: Double,
        factors: (_ head: Int, _ query: Int, _ key: Int) -> Double
    ) -> [Double] {
        let (heads, size, width) = (given.heads, given.heads.size, given.heads.packedWidth)
        var output = [Double](repeating: 0, count: (given.offsets.last ?? 0) * heads.outputWidth)
        for (start, end) in zip(given.offsets, given.offsets.dropFirst()) {
            for head in 0..<heads.count {
                let group = head / (heads.count / heads.keyValueCount)
                func term(_ head: Int, _ distance: Int) -> Double {
                    bias[head * given.distanceCount + distance + given.longest + 1]
                }
                // Key or value `row` of the sequence, those of the prefix first.
                func number(_ part: Int, _ row: Int, _ i: Int) -> Double {
                    if row < given.prefix {
                        return prefix[part][(row * heads.keyValueCount + group) * size + i]
                    }
                    let column = (heads.count + part * heads.keyValueCount + group) * size + i
                    return qkv[(start + row - given.prefix) * width + column]
                }
                for query in start..<end {
                    let last = given.prefix + (given.isCausal ? query + 1 : end) - start
                    let keys = max(0, last - (given.window ?? last))..<last
                    let scores = keys.map { key in
                        (0..<size).reduce(0.0) {
                            $0 + qkv[query * width + head * size + $1] * number(0, key, $1)
                        } * scale + (given.hasBias ? term(head, key - given.prefix - (query - start)) : 0)
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
