import Glibc
import Tensors
import TestSupport
import Testing

struct CrossEntropyTests {
    private func reference(_ z: [Double], label: Int, smoothing: Double) -> Double {
        let largest = z.max() ?? 0
        let whole = largest + log(z.reduce(0) { $0 + exp($1 - largest) })
        // As it is defined: a mean over the vocabulary beside the label's own.
        return (1 - smoothing) * (whole - z[label])
            + smoothing * z.reduce(0) { $0 + whole - $1 } / Double(z.count)
    }

    @Test("losses and gradients match the formula", arguments: [1, 5, 8, 50, 1003], [0, 0.1, 1])
    func matchesFormula(vocabulary: Int, smoothing: Double) {
        let (rows, stride) = (3, vocabulary + 4)
        let logits = Tensor(noise(rows * stride, seed: 4, scale: 6), shape: [rows, stride])
        let labels = [0, Int32(vocabulary / 2), Int32(vocabulary - 1)]
        let chunk = logits.copy()
        var losses = [Float](repeating: -1, count: rows)
        var lossesAlone = losses
        softmaxCrossEntropy(
            logits: chunk.data, rows: rows, vocabulary: vocabulary, stride: stride, labels: labels,
            smoothing: smoothing, losses: &lossesAlone)
        #expect(chunk.values == logits.values)
        softmaxCrossEntropyInPlace(
            logits: chunk.data, rows: rows, vocabulary: vocabulary, stride: stride, labels: labels,
            smoothing: smoothing, scale: 0.7, losses: &losses)
        #expect(losses == lossesAlone)
        for row in 0..<rows {
            var z = logits.values[row * stride..<row * stride + vocabulary].map(Double.init)
            let label = Int(labels[row])
            #expect((Double(losses[row]) - reference(z, label: label, smoothing: smoothing)).magnitude < 1e-5)
            for column in Swift.stride(from: 0, to: vocabulary, by: max(1, vocabulary / 50)) {
                let value = z[column]
                z[column] = value + 1e-5
                let above = reference(z, label: label, smoothing: smoothing)
                z[column] = value - 1e-5
                let slope = (above - reference(z, label: label, smoothing: smoothing)) / 2e-5 * 0.7
                z[column] = value
                #expect((Double(chunk.values[row * stride + column]) - slope).magnitude < 1e-6)
            }
            for column in vocabulary..<stride {
                #expect(chunk.values[row * stride + column] == logits.values[row * stride + column])
            }
        }
    }

    @Test("known values, equal and extreme logits")
    func knownValues() {
        var losses = [Float](repeating: 0, count: 3)
        let z = Tensor([5, 5, 5, 5, 1000, 0, -1000, -1e30, 0, 0, -.infinity, -200], shape: [3, 4])
        softmaxCrossEntropyInPlace(
            logits: z.data, rows: 3, vocabulary: 4, stride: 4, labels: [2, 1, 0], smoothing: 0, scale: 1,
            losses: &losses)
        #expect((losses[0] - log(4)).magnitude < 1e-6)
        #expect(losses[1] == 1000)
        #expect((losses[2] - log(2)).magnitude < 1e-6)
        #expect(z.values == [0.25, 0.25, -0.75, 0.25, 1, -1, 0, 0, -0.5, 0.5, 0, 0])
    }

    @Test("a logit that isn't a number shows in the loss")
    func notANumber() {
        for place in [0, 3, 8, 20] {
            var logits = noise(21)
            logits[place] = .nan
            var losses: [Float] = [0]
            softmaxCrossEntropy(
                logits: logits, rows: 1, vocabulary: 21, stride: 21, labels: [1], smoothing: 0, losses: &losses)
            #expect(losses[0].isNaN)
        }
    }
}
