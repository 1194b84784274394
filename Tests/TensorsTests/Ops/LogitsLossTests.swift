import Glibc
import Tensors
import TestSupport
import Testing

struct LogitsLossTests {
    @Test("is the cross-entropy, and its gradient", arguments: [(1, 1), (3, 11), (7, 40)])
    func matchesFormula(rows: Int, vocabulary: Int) {
        let labels = (0..<rows).map { Int32($0 * 7 % vocabulary) }
        func formula(_ x: [[Double]]) -> Double {
            (0..<rows).reduce(0) { sum, row in
                let z = x[0][row * vocabulary..<(row + 1) * vocabulary]
                let largest = z.max() ?? 0
                return sum + largest + log(z.reduce(0) { $0 + exp($1 - largest) })
                    - z[row * vocabulary + Int(labels[row])]
            }
        }
        let logits = Tensor(noise(rows * vocabulary, scale: 5), shape: [rows, vocabulary])
        // The scale is not a seed, so the formula isn't weighed.
        let numbers = logits.values.map(Double.init)
        logits.track()
        let loss = logitsLoss(logits, labels: labels, scale: 0.5)
        #expect(abs(loss.sum - formula([numbers])) < 1e-5 * max(1, loss.sum))
        #expect(loss.count == rows)
        #expect(abs(Double(loss.tensor.values[0]) - loss.sum / 2) < 1e-5 * max(1, loss.sum))
        loss.tensor.backward()
        let gradient = (logits.gradient?.values ?? []).map { Double($0) }
        let differences = numbers.indices.map { index in
            func moved(_ step: Double) -> Double {
                var changed = numbers
                changed[index] += step
                return formula([changed]) / 2
            }
            return (moved(1e-5) - moved(-1e-5)) / 2e-5
        }
        #expect(largestDifference(gradient, differences) < 1e-5)
    }

    @Test("without gradients it is the same number, and nothing is recorded")
    func constant() {
        let logits = Tensor(noise(22), shape: [2, 11])
        let loss = logitsLoss(logits, labels: [3, 10], scale: 1)
        #expect(!loss.tensor.needsGradient)
        logits.track()
        #expect(abs(logitsLoss(logits, labels: [3, 10], scale: 1).sum - loss.sum) < 1e-6)
        #expect(logitsLoss(Tensor(zeros: [0, 11]), labels: [], scale: 1).sum == 0)
    }
}
