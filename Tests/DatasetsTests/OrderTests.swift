import Datasets
import FoundationEssentials
import JSONText
import TestSupport
import Testing

/// Always the same.
private struct FixedOrder: ExampleOrder {
    let order: [Int32]
    var count: Int { order.count }
    func indices(epoch: Int) -> [Int32] { order }
}

@Suite("Orders of examples") struct OrderTests {
    @Test("by length are those of transformers' sampler")
    func lengths() throws {
        let path = fixture("train/length_grouped.json").path(percentEncoded: false)
        for node in try JSONNode.load(path: path).array("cases") {
            func numbers(_ key: String) throws -> [Int32] { try node.array(key).map { Int32(try $0.asInteger()) } }
            let order = LengthGroupedOrder(
                FixedOrder(order: try numbers("order")), lengths: try numbers("lengths"),
                batchSize: try node.integer("batch"))
            #expect(order.indices(epoch: 3) == (try numbers("grouped")))
        }
    }

    @Test("with weights have each file's examples as often as its weight says, over epochs to the example")
    func weights() {
        let files = [(0..<4, 2.0), (4..<9, 0.4), (9..<12, 1.5)].map { (examples: $0.0, weight: $0.1) }
        for shuffles in [false, true] {
            let order = WeightedOrder(files, shuffles: shuffles, seed: 3)
            #expect(order.count == 8 + 2 + 3 + 2)
            var counts = [Int](repeating: 0, count: 12)
            for epoch in 0..<15 {
                let indices = order.indices(epoch: epoch)
                #expect(indices.count == order.count && indices == order.indices(epoch: epoch))
                for index in indices { counts[Int(index)] += 1 }
            }
            #expect(counts == [30, 30, 30, 30] + [6, 6, 6, 6, 6] + [25, 25, 25])
        }
        let plain = WeightedOrder(files, shuffles: false, seed: 3).indices(epoch: 0)
        #expect(Array(plain.prefix(8)) == [0, 1, 2, 3, 0, 1, 2, 3])
        #expect(WeightedOrder(files, shuffles: true, seed: 3).indices(epoch: 1) != plain)
    }

    @Test("by tokens have as many batches in every epoch, none of them with more tokens than the limit")
    func tokens() {
        let lengths: [Int32] = [5, 1, 9, 3, 3, 3, 8, 2, 2, 7]
        let inOrder = TokenBatches(FileOrder(count: 10), lengths: lengths, limit: 10, shuffles: false, seed: 1)
        #expect(
            (0..<inOrder.count).map { Array(inOrder.batches(epoch: 5)[$0]) } == [
                [0, 1], [2], [3, 4, 5], [6, 7], [8, 9],
            ])
        let shuffled = TokenBatches(
            RandomOrder(count: 10, seed: 2), lengths: lengths, limit: 10, shuffles: true, seed: 2)
        var epochs: [EpochBatches] = []
        for epoch in 0..<4 {
            let batches = shuffled.batches(epoch: epoch)
            #expect(batches.bounds.count == shuffled.count + 1)
            #expect(batches.indices.sorted() == Array(0..<10))
            for index in 0..<shuffled.count {
                #expect(batches[index].reduce(0) { $0 + lengths[Int($1)] } <= 10 && !batches[index].isEmpty)
            }
            epochs.append(batches)
        }
        #expect(Set(epochs).count > 1)
    }
}
