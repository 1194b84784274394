import Glibc
import Tensors
import TestSupport
import Testing

struct LogitsLossTests {
    @Test("is the cross-entropy, and its gradient", arguments: [(1, 1, 0), (3, 11, 0), (7, 40, 0), (7, 40, 0.2)])
    func matchesFormula(rows: Int, vocabulary: Int, smoothing: Double) {
        let labels = (0..<rows).map { Int32($0 * 7 % vocabulary) }
        func formula(_ x: [[Double]]) -> Double {
            (0..<rows).reduce(0) { sum, row in
                let z = x[0][row * vocabulary..<(row + 1) * vocabulary]
                let largest = z.max() ?? 0
                return sum + largest + log(z.reduce(0) { $0 + exp($1 - largest) })
                    - (1 - smoothing) * z[row * vocabulary + Int(labels[row])]
                    - smoothing * z.reduce(0, +) / Double(vocabulary)
            }
        }
        let logits = Tensor(noise(rows * vocabulary, scale: 5), shape: [rows, vocabulary])
        // The scale is not a seed, so the formula isn't weighed.
        let numbers = logits.values.map(Double.init)
        logits.track()
        let loss = logitsLoss(logits, labels: labels, smoothing: smoothing, scale: 0.5)
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

    @Test("rows that count several times are as if they stood there so often, smoothed or not", arguments: [0, 0.2])
    func counted(smoothing: Double) {
        let numbers = noise(22, scale: 3)
        let once = Tensor(numbers, shape: [2, 11])
        let thrice = Tensor(numbers + numbers[11...] + numbers[11...], shape: [4, 11])
        once.track()
        thrice.track()
        let loss = logitsLoss(once, labels: [3, 10], counts: [1, 3], smoothing: smoothing, scale: 0.5)
        let whole = logitsLoss(thrice, labels: [3, 10, 10, 10], smoothing: smoothing, scale: 0.5)
        #expect(loss.count == 4 && abs(loss.sum - whole.sum) < 1e-5 * whole.sum)
        loss.tensor.backward()
        whole.tensor.backward()
        let gradients = (once.gradient?.values ?? [], thrice.gradient?.values ?? [])
        for column in 0..<11 {
            #expect(gradients.0[column] == gradients.1[column])
            #expect(abs(gradients.0[11 + column] - 3 * gradients.1[11 + column]) < 1e-6)
        }
    }

    @Test("without gradients it is the same number, and nothing is recorded")
    func constant() {
        let logits = Tensor(noise(22), shape: [2, 11])
        let loss = logitsLoss(logits, labels: [3, 10], smoothing: 0, scale: 1)
        #expect(!loss.tensor.needsGradient)
        logits.track()
        #expect(abs(logitsLoss(logits, labels: [3, 10], smoothing: 0, scale: 1).sum - loss.sum) < 1e-6)
        #expect(logitsLoss(Tensor(zeros: [0, 11]), labels: [], smoothing: 0, scale: 1).sum == 0)
    }
}
