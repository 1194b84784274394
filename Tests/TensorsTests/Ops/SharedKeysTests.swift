import Glibc
import Tensors
import TestSupport
import Testing

@Suite("An attention whose sequences have keys in common") struct SharedKeysTests {
    struct Case: Sendable, CustomTestStringConvertible {
        /// Rows of the queries of each sequence, and of each segment of keys where these are others.
        var lengths: [Int]
        var keyLengths: [Int]?
        var chains: [[Int]]
        var heads: AttentionHeads
        var isCausal = true
        var prefix = 0
        var window: Int?
        var hasBias = false

        var testDescription: String {
            "\(lengths) by \(chains) of \(keyLengths ?? lengths), \(heads.count)/\(heads.keyValueCount)×\(heads.size), "
                + "behind \(prefix)" + (window.map { " within \($0)" } ?? "") + (hasBias ? ", biased" : "")
        }
        static func ends(_ lengths: [Int]) -> [Int] { lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) } }
        var offsets: [Int] { Self.ends(lengths) }
        var keyOffsets: [Int] { Self.ends(keyLengths ?? lengths) }
        var longest: Int {
            prefix + (chains.map { $0.reduce(0) { $0 + (keyLengths ?? lengths)[$1] } }.max() ?? 0)
        }
        var distanceCount: Int { 2 * longest + 1 }
        func bias(_ table: Tensor) -> AttentionBias? {
            hasBias ? AttentionBias(table: table, origin: longest) : nil
        }

        /// Queries, keys and values, the prefix's keys and values where there is one, and the bias's table.
        var inputs: [Tensor] {
            func random(_ rows: Int, _ width: Int, _ seed: UInt64) -> Tensor {
                Tensor(noise(rows * width, seed: seed, scale: 2), shape: [rows, width])
            }
            let width = heads.keyValueWidth
            return [
                random(offsets.last ?? 0, heads.outputWidth, 1), random(keyOffsets.last ?? 0, width, 2),
                random(keyOffsets.last ?? 0, width, 3),
            ] + (prefix > 0 ? [random(prefix, width, 4), random(prefix, width, 5)] : [])
                + (hasBias ? [random(heads.count, distanceCount, 6)] : [])
        }

        func attend(_ inputs: [Tensor], dropout: Dropout? = nil) -> Tensor {
            attention(
                .separate(queries: inputs[0], keys: inputs[1], values: inputs[2]),
                prefix: prefix > 0 ? KeyValuePrefix(keys: inputs[3], values: inputs[4]) : nil, offsets: offsets,
                keyOffsets: keyOffsets, chains: chains, heads: heads, scale: 0.37, isCausal: isCausal, window: window,
                bias: bias(inputs[inputs.count - 1]), dropout: dropout)
        }
    }

    private static func heads(_ count: Int, _ keyValueCount: Int, _ size: Int) -> AttentionHeads {
        AttentionHeads(count: count, keyValueCount: keyValueCount, size: size)
    }

    static let cases = [
        Case(lengths: [3, 2, 1], chains: [[0], [0, 1], [0, 2]], heads: heads(2, 2, 8)),
        Case(lengths: [1, 1], chains: [[0], [0, 1]], heads: heads(1, 1, 4)),
        Case(
            lengths: [5, 2, 3, 4, 6, 1], chains: [[0], [0, 1], [2], [0, 1, 3], [2, 4], [0, 1, 5]],
            heads: heads(4, 2, 5)),
        Case(lengths: [70, 66, 3, 0], chains: [[0], [0, 1], [0, 1, 2], [0, 3]], heads: heads(2, 2, 6)),
        Case(lengths: [0, 4, 5], chains: [[0], [0, 1], [0, 2]], heads: heads(1, 1, 6)),
        Case(lengths: [100, 20, 40], chains: [[0], [0, 1], [0, 2]], heads: heads(1, 1, 4)),
        Case(lengths: [40, 30, 20], chains: [[0], [0, 1], [0, 1, 2]], heads: heads(2, 1, 5), window: 7),
        Case(lengths: [40, 30, 90], chains: [[0], [0, 1], [0, 2]], heads: heads(2, 1, 5), window: 65),
        Case(lengths: [20, 7, 9, 4], chains: [[0], [0, 1], [2], [0, 3]], heads: heads(4, 2, 4), prefix: 5),
        Case(
            lengths: [20, 7, 9, 4], chains: [[0], [0, 1], [0, 2], [3]], heads: heads(2, 2, 4), prefix: 3, window: 12),
        Case(
            lengths: [20, 7, 9, 4], chains: [[0], [0, 1], [0, 2], [0, 2, 3]], heads: heads(2, 1, 4), hasBias: true),
        Case(
            lengths: [20, 7, 9], chains: [[0], [0, 1], [0, 2]], heads: heads(2, 2, 4), prefix: 4, hasBias: true),
        Case(
            lengths: [3, 70, 0, 5], keyLengths: [9, 80], chains: [[0], [1], [0], [1]], heads: heads(2, 2, 6),
            isCausal: false),
        Case(
            lengths: [3, 7, 5], keyLengths: [9, 4], chains: [[1], [0], [1]], heads: heads(4, 2, 6), isCausal: false,
            prefix: 3, hasBias: true),
    ]

    @Test("matches the formula in double precision, gradients too", arguments: cases)
    func formula(_ given: Case) {
        let found = deviation(
            of: { given.attend($0) }, from: { reference($0, given) }, at: given.inputs, elementsPerInput: 24)
        #expect(found.forward < 1e-5)
        #expect(found.backward < 1e-4)
    }

    @Test("has the bits of queries, keys and values in one matrix", arguments: cases.filter { $0.keyLengths == nil })
    func packed(_ given: Case) {
        let inputs = given.inputs
        let rows = inputs[0].rowCount
        let whole = Tensor(
            (0..<rows).flatMap { row in
                inputs.prefix(3).flatMap { part in
                    part.values[row * part.columnCount..<(row + 1) * part.columnCount]
                }
            }, shape: [rows, given.heads.packedWidth])
        func run(_ tracked: [Tensor], _ attend: () -> Tensor) -> (y: [Float], gradients: [[Float]]) {
            for input in tracked { input.track() }
            let y = attend()
            let values = y.values
            y.backward(seed: Tensor(noise(y.count, seed: 4), shape: y.shape))
            return (values, tracked.map { $0.gradient?.values ?? [] })
        }
        let others = Array(inputs.dropFirst(3))
        let apart = run(inputs) { given.attend(inputs) }
        for input in inputs { input.clearGradient() }
        let together = run([whole] + others) {
            attention(
                .packed(whole), prefix: given.prefix > 0 ? KeyValuePrefix(keys: inputs[3], values: inputs[4]) : nil,
                offsets: given.offsets, chains: given.chains, heads: given.heads, scale: 0.37, isCausal: true,
                window: given.window, bias: given.bias(inputs[inputs.count - 1]), dropout: nil)
        }
        #expect(together.y == apart.y)
        #expect(Array(together.gradients.dropFirst()) == Array(apart.gradients.dropFirst(3)))
        let parts = (0..<rows).flatMap { row in
            zip(inputs, apart.gradients).prefix(3).flatMap { part, gradient in
                gradient[row * part.columnCount..<(row + 1) * part.columnCount]
            }
        }
        #expect(together.gradients[0] == parts)
    }

    @Test("adds to the gradient of a matrix that has one already") func accumulation() {
        let given = Self.cases[2]
        let qkv = Tensor(noise(21 * given.heads.packedWidth, seed: 3), shape: [21, given.heads.packedWidth])
        qkv.track()
        var gradients: [[Float]] = []
        for _ in 0..<2 {
            let y = attention(
                .packed(qkv), offsets: given.offsets, chains: given.chains, heads: given.heads, scale: 0.3,
                isCausal: true, dropout: nil)
            y.backward(seed: Tensor(noise(y.count, seed: 4), shape: y.shape))
            gradients.append(qkv.gradient?.values ?? [])
        }
        #expect(largestDifference(gradients[1].map(Double.init), gradients[0].map { 2 * Double($0) }) < 1e-6)
    }

    @Test("drops the same elements on the way back as on the way there") func dropout() {
        let given = Self.cases[3]
        let dropout = Dropout(probability: 0.3, key: 77)
        // Linear in the values: ⟨dy, y⟩ = ⟨dv, v⟩.
        let inputs = given.inputs
        inputs[2].track()
        let y = given.attend(inputs, dropout: dropout)
        let dy = noise(y.count, seed: 4)
        let product = zip(y.values, dy).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        #expect(y.values != given.attend(inputs).values)
        y.backward(seed: Tensor(dy, shape: y.shape))
        let gradient = inputs[2].gradient?.values ?? []
        let back = zip(inputs[2].values, gradient).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        #expect(abs(product - back) < 1e-4 * max(1, abs(product)))
    }

    /// Plain attention, one row after the other, over the keys of each sequence laid side by side.
    private func reference(_ inputs: [[Double]], _ given: Case) -> [Double] {
        let (heads, size) = (given.heads, given.heads.size)
        let bias = inputs[inputs.count - 1]
        var output = [Double](repeating: 0, count: (given.offsets.last ?? 0) * heads.outputWidth)
        for (sequence, chain) in given.chains.enumerated() {
            let rows = chain.flatMap { given.keyOffsets[$0]..<given.keyOffsets[$0 + 1] }
            let (first, length) = (given.offsets[sequence], given.lengths[sequence])
            let count = given.prefix + rows.count
            for head in 0..<heads.count {
                let group = head / (heads.count / heads.keyValueCount)
                func number(_ part: Int, _ key: Int, _ i: Int) -> Double {
                    let column = group * size + i
                    return key < given.prefix
                        ? inputs[3 + part][key * heads.keyValueWidth + column]
                        : inputs[1 + part][rows[key - given.prefix] * heads.keyValueWidth + column]
                }
                for query in 0..<length {
                    let place = count - length + query
                    let last = given.isCausal ? place + 1 : count
                    let keys = max(0, last - (given.window ?? last))..<last
                    let row = (first + query) * heads.outputWidth + head * size
                    let exponentials = keys.map { key in
                        exp(
                            0.37 * (0..<size).reduce(0.0) { $0 + inputs[0][row + $1] * number(0, key, $1) }
                                + (given.hasBias
                                    ? bias[head * given.distanceCount + given.longest + key - place] : 0))
                    }
                    let sum = exponentials.reduce(0, +)
                    for (key, value) in zip(keys, exponentials) {
                        for i in 0..<size { output[row + i] += value / sum * number(1, key, i) }
                    }
                }
            }
        }
        return output
    }
}
