import Tensors
import TestSupport
import Testing

@Suite("The squared error") struct SquaredErrorTests {
    @Test("and its gradient match the formula", arguments: [1, 5, 33])
    func matchesFormula(rows: Int) {
        let predictions = Tensor(noise(rows, seed: 3, scale: 4), shape: [rows, 1])
        let targets = noise(rows, seed: 4, scale: 4)
        predictions.track()
        let loss = squaredError(predictions, targets: targets, scale: 0.3)
        loss.tensor.backward()
        let differences = zip(predictions.values, targets).map { Double($0) - Double($1) }
        let sum = differences.reduce(0) { $0 + $1 * $1 }
        #expect(abs(loss.sum - sum) <= 1e-12 * sum && loss.count == rows)
        #expect(abs(Double(loss.tensor.data[0]) - 0.3 * sum) <= 1e-5 * sum)
        for (found, difference) in zip(predictions.gradient?.values ?? [], differences) {
            #expect(abs(Double(found) - 0.6 * difference) <= 1e-6 * (1 + abs(difference)))
        }
        #expect(predictions.gradient?.count == rows)
    }

    @Test("adds to a gradient that is there already")
    func accumulates() {
        let predictions = Tensor([3, -1], shape: [2, 1])
        predictions.track()
        for _ in 0..<2 { squaredError(predictions, targets: [1, 0], scale: 0.5).tensor.backward() }
        #expect(predictions.gradient?.values == [4, -2])
    }
}
