import Batches
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing

@Suite("Prompts that records have in common") struct SharedPromptTests {
    /// Two that agree in all that is given, two more that agree with these and each other in part, one with nothing in
    /// front, one that is learned in two places, and one that goes on from the first behind what this one has learned.
    static let examples = [
        Example(tokens: [3, 1, 4, 1, 5, 9], firstTarget: 4), Example(tokens: [3, 1, 4, 1, 2, 6, 5], firstTarget: 4),
        Example(tokens: [9, 2], firstTarget: 1), Example(tokens: [3, 1, 7, 8, 2, 0], firstTarget: 4),
        Example(tokens: [3, 1, 7, 8, 10], firstTarget: 4),
        Example(tokens: [3, 1, 4, 6, 5, 3, 8], targets: [3..<4, 6..<7]),
        Example(tokens: [3, 1, 4, 1, 5, 9, 2], firstTarget: 4),
    ]
    /// The same as an encoder reads what is given.
    static let pairs = [[3, 1, 4], [6], [3, 1, 4], [9, 2, 5, 6], [6], [3, 1, 4]].enumerated().map { index, source in
        Example(
            source: source.map { Int32($0) }, tokens: Array([0, Int32(index), 7, 1].prefix(2 + index % 3)),
            targets: [1..<2 + index % 3])
    }

    @Test("are computed once: the same loss and gradients", arguments: MethodCase.all)
    func sameNumbers(method: MethodCase) throws {
        let small = try SmallModel(method)
        let installation = try small.install(method.method, method.settings)
        randomise(installation)
        let model = small.model
        let batches =
            model.hasEncoder
            ? [model.batch(Self.pairs), model.batch(Self.pairs, sharingPrompts: true)]
            : [TokenBatch(Self.examples), TokenBatch(sharing: Self.examples, .init(rows: 1, savedRows: 1))]
        #expect(
            batches[1].computedCount < batches[0].computedCount && batches[1].tokenCount == batches[0].tokenCount
                && batches[1].labelCount == batches[0].labelCount)
        let contexts = [{ ForwardContext.inference() }, { .training(seed: 1, pass: 2, isCheckpointing: true) }]
        for context in contexts {
            let results = try batches.map { batch in
                for parameter in installation.trainable { parameter.tensor.clearGradient() }
                let loss = model.loss(batch, scale: 1, context())
                loss.tensor.backward()
                return (loss.sum, try installation.trainable.map { try #require($0.tensor.gradient).values })
            }
            #expect(abs(results[0].0 - results[1].0) <= 1e-6 * results[0].0)
            for (parameter, gradients) in zip(installation.trainable, zip(results[0].1, results[1].1)) {
                let difference = relativeDifference(gradients.1, gradients.0)
                #expect(difference < 1e-5, "\(parameter.name) \(difference)")
            }
        }
    }

    @Test("have one dropout for all, where they are shared all the same", arguments: SmallFamily.all)
    func dropout(family: SmallFamily) throws {
        let small = try SmallModel(family, dropout: 0.3)
        let model = small.model
        let batch =
            model.hasEncoder
            ? model.batch(Self.pairs, sharingPrompts: true)
            : TokenBatch(sharing: Self.examples, .init(rows: 1, savedRows: 1))
        let context = ForwardContext.training(seed: 1, pass: 2)
        let loss = model.loss(batch, scale: 1, context)
        loss.tensor.backward()
        #expect(context.hasDrawn && loss.sum.isFinite)
        #expect(model.parameters.allSatisfy { $0.tensor.gradient?.values.allSatisfy(\.isFinite) ?? true })
    }

    @Test("give the same bits whatever the number of threads") func threads() throws {
        let text = """
            {"vocab_size": 1000, "n_positions": 160, "n_embd": 192, "n_layer": 2, "n_head": 4, "embd_pdrop": 0,
             "resid_pdrop": 0, "attn_pdrop": 0, "initializer_range": 0.1}
            """
        let model = try GPT2(configuration: section(text), source: RandomParameters(seed: 5))
        for parameter in model.parameters { parameter.tensor.track() }
        let numbers = noise(2000, seed: 3).map { Int32(($0 + 1) * 499) }
        let examples = (0..<9).map { index in
            Example(
                tokens: Array(numbers[index % 3 * 200..<index % 3 * 200 + 90 + index])
                    + numbers[1000 + 20 * index..<1020 + 21 * index], firstTarget: 90 + index)
        }
        let batch = model.batch(examples, sharingPrompts: true)
        #expect(batch.computedCount < 600 && batch.tokenCount > 900)
        let before = WorkerPool.shared.threadCount
        defer { WorkerPool.shared.threadCount = before }
        let results = (1...4).map { threads in
            WorkerPool.shared.threadCount = threads
            for parameter in model.parameters { parameter.tensor.clearGradient() }
            let loss = model.loss(batch, scale: 1 / 200, .training(seed: 1, pass: 0))
            loss.tensor.backward()
            return [[Float(loss.sum).bitPattern]]
                + model.parameters.map { $0.tensor.gradient?.values.map(\.bitPattern) ?? [] }
        }
        #expect(results.allSatisfy { $0 == results[0] })
    }
}
