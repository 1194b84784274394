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

    @Test("has a label for every target of an example's spans, and no rows behind the last")
    func spans() {
        let chat = Example(tokens: [1, 2, 3, 4, 5, 6, 7, 8], targets: [1..<3, 5..<6])
        #expect(chat.targetCount == 3 && chat.rowCount == 5)
        let batch = TokenBatch([Example(tokens: [9, 9], label: .category(4)), chat, chat])
        let ignored = TokenBatch.ignored
        #expect(batch.tokens == [9, 9] + [1, 2, 3, 4, 5] + [1, 2, 3, 4, 5])
        #expect(batch.offsets == [0, 2, 7, 12])
        #expect(
            batch.labels == [ignored, 4] + [2, 3, ignored, ignored, 6] + [2, 3, ignored, ignored, 6])
    }

    @Test("is made of examples that are kept as they are, where there is room") func kept() {
        let examples = [
            Example(tokens: [1, 2, 3, 4, 5, 6], targets: [1..<2, 3..<4, 5..<6]), Example(tokens: [7], label: .value(2)),
            Example(tokens: [8, 9], firstTarget: 1), Example(tokens: [1, 2, 3], firstTarget: 2),
        ]
        var cache = ExampleCache(count: 5, capacity: 10)
        for (index, example) in examples.enumerated().reversed() { cache.insert(example, at: index + 1) }
        #expect((0..<5).map { cache[$0] } == [nil, nil, examples[1], examples[2], examples[3]])
        cache = ExampleCache(count: 4, capacity: 12)
        for (index, example) in examples.enumerated() { cache.insert(example, at: index) }
        #expect((0..<4).map { cache[$0] } == examples)
    }

    @Test("has the labels that transformers shifts itself")
    func labels() throws {
        let batches = BatchSequence(dataset: dataset, EqualBatches(FileOrder(count: dataset.count), size: 1))
        for (index, node) in try reference.expected.array("completion").enumerated() {
            let labels = try node.array("labels").map { Int32(try $0.asInteger()) }
            let expected = labels.dropFirst().map { $0 == -100 ? TokenBatch.ignored : $0 }
            #expect(try TokenBatch(batches.examples(epoch: 0, index: index)).labels == expected)
        }
    }

    @Test("keeps the last partial batch and the order of the file where it isn't shuffled")
    func fileOrder() throws {
        let batches = BatchSequence(dataset: dataset, EqualBatches(FileOrder(count: dataset.count), size: 3))
        #expect(batches.count == 3)
        let examples = try reference.examples("completion")
        #expect(try batches.examples(epoch: 4, index: 2) == Array(examples[6...]))
        #expect(batches.indices(epoch: 0, index: 1) == [3, 4, 5])
    }

    @Test("visits every example once an epoch, in another order each, the same from any start")
    func shuffled() throws {
        let batches = BatchSequence(
            dataset: dataset, EqualBatches(RandomOrder(count: dataset.count, seed: 42), size: 3))
        let epochs = (0..<3).map { epoch in (0..<3).flatMap { batches.indices(epoch: epoch, index: $0) } }
        for epoch in epochs { #expect(epoch.sorted() == Array(0..<8)) }
        #expect(Set(epochs).count == 3)
        let all = try (0..<3).flatMap { epoch in try (0..<3).map { try batches.examples(epoch: epoch, index: $0) } }
        let resumed = BatchSequence(
            dataset: try Dataset(
                paths: [reference.path("records.jsonl")], encoder: reference.encoder(reference.completion)),
            EqualBatches(RandomOrder(count: 8, seed: 42), size: 3))
        #expect(try resumed.examples(epoch: 1, index: 2) == all[5])
        #expect(try resumed.examples(epoch: 2, index: 0) == all[6])
    }
}
