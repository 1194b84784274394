import Datasets
import Testing

@Suite("Records grouped by their prompts") struct PromptOrderTests {
    private func order(_ prompts: [Int32], batch: Int, seed: UInt64? = nil, epoch: Int = 0) -> [[Int32]] {
        let order = PromptOrder(prompts: prompts, batchSize: batch, seed: seed).indices(epoch: epoch)
        return stride(from: 0, to: order.count, by: batch).map { Array(order[$0..<min($0 + batch, order.count)]) }
    }

    @Test("fill batches with whole prompts as far as these fit, in the order of the data") func unshuffled() {
        // The first batch has room for one more, and prompt 2 is the first that fits.
        #expect(order([0, 0, 1, 1, 1, 2, 3, 3], batch: 3) == [[0, 1, 5], [2, 3, 4], [6, 7]])
        #expect(order([0, 1, 0, 1, 0, 1], batch: 4) == [[0, 2, 4, 1], [3, 5]])
        #expect(order([0, 0, 0, 0, 0, 1, 1], batch: 2) == [[0, 1], [2, 3], [4, 5], [6]])
        #expect(order([0, 0, 0, 0, 0, 1, 2], batch: 2) == [[0, 1], [2, 3], [4, 5], [6]])
        #expect(order([0, 1, 2], batch: 8) == [[0, 1, 2]])
        #expect(order([], batch: 8) == [])
        #expect(order([0, 0, 0], batch: 1) == [[0], [1], [2]])
    }

    @Test("are all there once in each epoch, in an order that seed and epoch decide") func shuffled() {
        let prompts = (0..<500).map { Int32($0 * $0 % 97 % 61) }
        var numbers: [Int32: Int32] = [:]
        let numbered = prompts.map { prompt in
            let number = numbers[prompt] ?? Int32(numbers.count)
            numbers[prompt] = number
            return number
        }
        let epochs = (0..<3).map { order(numbered, batch: 8, seed: 5, epoch: $0) }
        for epoch in epochs {
            #expect(epoch.flatMap { $0 }.sorted() == (0..<500).map { $0 })
            #expect(epoch.dropLast().allSatisfy { $0.count == 8 } && epoch.last?.count == 4)
        }
        #expect(epochs[0] != epochs[1] && epochs[1] != epochs[2])
        #expect(order(numbered, batch: 8, seed: 5, epoch: 1) == epochs[1])
        #expect(order(numbered, batch: 8, seed: 6, epoch: 1) != epochs[1])
        // Few prompts are in more batches than they need.
        let needed = Dictionary(grouping: numbered) { $0 }.values.reduce(0) { $0 + ($1.count + 7) / 8 }
        for epoch in epochs {
            let found = epoch.reduce(0) { $0 + Set($1.map { numbered[Int($0)] }).count }
            #expect(found <= needed + needed / 5, "\(found) for \(needed)")
        }
    }
}
