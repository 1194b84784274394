import Glibc
import Tensors
import Testing
import TestSupport

struct LanguageModelLossTests {
    struct Size: Sendable, CustomTestStringConvertible {
        var rows: Int
        var width: Int
        var vocabulary: Int
        var rank: Int
        /// The most rows whose logits are there at a time.
        var chunk: Int
        var smoothing = 0.0
        var testDescription: String {
            "[\(rows), \(width)] over \(vocabulary), rank \(rank), \(chunk) rows at a time, smoothed by \(smoothing)"
        }
    }

    static let sizes = [
        Size(rows: 1, width: 1, vocabulary: 1, rank: 0, chunk: 1),
        Size(rows: 3, width: 5, vocabulary: 11, rank: 2, chunk: 3),
        Size(rows: 7, width: 3, vocabulary: 40, rank: 1, chunk: 2, smoothing: 0.1),
        Size(rows: 23, width: 9, vocabulary: 101, rank: 3, chunk: 8),
        Size(rows: 23, width: 9, vocabulary: 101, rank: 3, chunk: 8, smoothing: 0.3),
        Size(rows: 5, width: 1, vocabulary: 3, rank: 0, chunk: 1),
    ]

    private static func labels(_ size: Size) -> [Int32] {
        (0..<size.rows).map { Int32($0 * 1_000_003 % size.vocabulary) }
    }

    /// h, W and, with a rank, u and B.
    private static func inputs(_ size: Size) -> [Tensor] {
        var inputs = [
            Tensor(noise(size.rows * size.width), shape: [size.rows, size.width]),
            Tensor(noise(size.vocabulary * size.width, seed: 2), shape: [size.vocabulary, size.width]),
        ]
        if size.rank > 0 {
            inputs += [
                Tensor(noise(size.rows * size.rank, seed: 3), shape: [size.rows, size.rank]),
                Tensor(noise(size.vocabulary * size.rank, seed: 4), shape: [size.vocabulary, size.rank]),
            ]
        }
        return inputs
    }

    private static func loss(_ x: [Tensor], _ size: Size, scale: Float) -> Loss {
        languageModelLoss(
            x[0], labels: labels(size), head: DenseWeight(x[1], isInputByOutput: false),
            lowRank: size.rank > 0 ? LowRankTerm(u: x[2], b: x[3]) : nil, smoothing: size.smoothing, scale: scale,
            chunkBytes: 4 * size.vocabulary * size.chunk)
    }

    /// What double precision makes of the same numbers: the loss, and its gradients of all inputs.
    private struct Oracle {
        var sum = 0.0
        var gradients: [[Double]]

        init(_ inputs: [Tensor], _ labels: [Int32], _ size: Size, scale: Double) {
            let x = inputs.map { $0.values.map(Double.init) }
            gradients = x.map { [Double](repeating: 0, count: $0.count) }
            for row in 0..<size.rows {
                let h = (0..<size.width).map { x[0][row * size.width + $0] }
                let u = (0..<size.rank).map { x[2][row * size.rank + $0] }
                var z = (0..<size.vocabulary).map { token in
                    var sum = 0.0
                    for k in 0..<size.width { sum += h[k] * x[1][token * size.width + k] }
                    for k in 0..<size.rank { sum += u[k] * x[3][token * size.rank + k] }
                    return sum
                }
                let largest = z.max() ?? 0
                let target =
                    (1 - size.smoothing) * z[Int(labels[row])]
                    + size.smoothing * z.reduce(0, +) / Double(size.vocabulary)
                for token in z.indices { z[token] = exp(z[token] - largest) }
                let total = z.reduce(0, +)
                sum += largest + log(total) - target
                for token in z.indices {
                    let wanted =
                        (token == Int(labels[row]) ? 1 - size.smoothing : 0) + size.smoothing / Double(size.vocabulary)
                    let slope = scale * (z[token] / total - wanted)
                    for k in 0..<size.width {
                        gradients[0][row * size.width + k] += slope * x[1][token * size.width + k]
                        gradients[1][token * size.width + k] += slope * h[k]
                    }
                    for k in 0..<size.rank {
                        gradients[2][row * size.rank + k] += slope * x[3][token * size.rank + k]
                        gradients[3][token * size.rank + k] += slope * u[k]
                    }
                }
            }
        }
    }

    @Test("is the cross-entropy of h Wᵀ + u Bᵀ, and its gradients, in as many chunks as it takes", arguments: sizes)
    func matchesFormula(size: Size) {
        let inputs = Self.inputs(size)
        let oracle = Oracle(inputs, Self.labels(size), size, scale: 0.5)
        for input in inputs { input.track() }
        let loss = Self.loss(inputs, size, scale: 0.5)
        #expect(abs(loss.sum - oracle.sum) < 1e-5 * max(1, oracle.sum))
        #expect(loss.count == size.rows)
        #expect(abs(Double(loss.tensor.values[0]) - oracle.sum / 2) < 1e-5 * max(1, oracle.sum))
        loss.tensor.backward()
        for (input, expected) in zip(inputs, oracle.gradients) {
            let found = (input.gradient?.values ?? []).map { Double($0) }
            #expect(largestDifference(found, expected) < 1e-5)
        }
    }

    @Test("its gradients are those of finite differences", arguments: sizes.prefix(3))
    func finiteDifferences(size: Size) {
        let inputs = Self.inputs(size)
        let labels = Self.labels(size)
        let oracle = Oracle(inputs, labels, size, scale: 1)
        for index in inputs.indices {
            let differences = (0..<inputs[index].count).map { element in
                func moved(_ step: Float) -> Double {
                    let changed = inputs.map { $0.copy() }
                    changed[index].data[element] += step
                    return Oracle(changed, labels, size, scale: 1).sum
                }
                let h = Float(0x1p-10)
                return (moved(h) - moved(-h)) / Double(2 * h)
            }
            #expect(largestDifference(oracle.gradients[index], differences) < 1e-4)
        }
    }

    @Test("what is constant keeps no gradient, and the loss is the same number", arguments: sizes)
    func constants(size: Size) {
        let inputs = Self.inputs(size)
        let constant = Self.loss(inputs, size, scale: 1)
        #expect(!constant.tensor.needsGradient)
        inputs[0].track()
        let recorded = Self.loss(inputs, size, scale: 1)
        #expect(abs(recorded.sum - constant.sum) <= 1e-6 * max(1, constant.sum))
        recorded.tensor.backward()
        #expect(inputs[0].gradient != nil)
        #expect(inputs[1].gradient == nil)
    }

    @Test("logits of ±30 and ties give exact losses")
    func extremes() {
        let head = DenseWeight(Tensor([30, -30, 30], shape: [3, 1]), isInputByOutput: false)
        let hidden = Tensor([1, 1, 0], shape: [3, 1])
        let loss = languageModelLoss(hidden, labels: [0, 1, 2], head: head, lowRank: nil, smoothing: 0, scale: 1)
        #expect(abs(loss.sum - (log(2) + (60 + log(2)) + log(3))) < 1e-5 * 62)
    }

    @Test("no rows have no loss")
    func empty() {
        let head = DenseWeight(Tensor(zeros: [3, 2]), isInputByOutput: false)
        let loss = languageModelLoss(
            Tensor(uninitialized: [0, 2]), labels: [], head: head, lowRank: nil, smoothing: 0, scale: 1)
        #expect(loss.sum == 0)
        #expect(loss.count == 0)
    }
}
