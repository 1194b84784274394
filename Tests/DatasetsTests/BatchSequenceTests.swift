import Batches
import Datasets
import Glibc
import JSONText
import Testing

@Suite("A sequence of batches") struct BatchSequenceTests {
    let reference: ReferenceExamples
    let dataset: Dataset

    init() throws {
        reference = try ReferenceExamples()
        dataset = try Dataset(
            paths: [reference.path("records.jsonl")], encoder: reference.encoder(reference.completion))
    }

    @Test("lays examples side by side without padding, labels shifted")
    func layout() {
        let batch = TokenBatch([
            Example(tokens: [1, 2, 3, 4], firstTarget: 2), Example(tokens: [5, 6], firstTarget: 1),
        ])
        #expect(batch.tokens == [1, 2, 3, 5])
        #expect(batch.positions == [0, 1, 2, 0])
        #expect(batch.offsets == [0, 3, 4])
        #expect(batch.labels == [TokenBatch.ignored, 3, 4, 6])
    }

    @Test("has the labels that transformers shifts itself")
    func labels() throws {
        let batches = BatchSequence(dataset: dataset, batchSize: 1, shuffles: false, seed: 0)
        for (index, node) in try reference.expected.array("completion").enumerated() {
            let labels = try node.array("labels").map { Int32(try $0.asInteger()) }
            let expected = labels.dropFirst().map { $0 == -100 ? TokenBatch.ignored : $0 }
            #expect(try batches.batch(epoch: 0, index: index).labels == expected)
        }
    }

    @Test("keeps the last partial batch and the order of the file where it isn't shuffled")
    func fileOrder() throws {
        let batches = BatchSequence(dataset: dataset, batchSize: 3, shuffles: false, seed: 1)
        #expect(batches.count == 3)
        let examples = try reference.examples("completion")
        #expect(try batches.batch(epoch: 4, index: 2) == TokenBatch(Array(examples[6...])))
        #expect(batches.examples(epoch: 0, index: 1) == [3, 4, 5])
    }

    @Test("visits every example once an epoch, in another order each, the same from any start")
    func shuffled() throws {
        let batches = BatchSequence(dataset: dataset, batchSize: 3, shuffles: true, seed: 42)
        let epochs = (0..<3).map { epoch in (0..<3).flatMap { batches.examples(epoch: epoch, index: $0) } }
        for epoch in epochs { #expect(epoch.sorted() == Array(0..<8)) }
        #expect(Set(epochs).count == 3)
        let all = try (0..<3).flatMap { epoch in try (0..<3).map { try batches.batch(epoch: epoch, index: $0) } }
        let resumed = BatchSequence(
            dataset: try Dataset(
                paths: [reference.path("records.jsonl")], encoder: reference.encoder(reference.completion)),
            batchSize: 3, shuffles: true, seed: 42)
        #expect(try resumed.batch(epoch: 1, index: 2) == all[5])
        #expect(try resumed.batch(epoch: 2, index: 0) == all[6])
    }
}
