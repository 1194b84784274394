import Batches
import Configuration
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing

@Suite("A training step") struct ThreadTests {
    @Test(
        "has the same bits whatever the number of threads",
        arguments: [
            (method: "full", settings: "{}"),
            (method: "lora", settings: #"{"target_modules": "all-linear", "bias": "all", "lora_dropout": 0.1}"#),
        ])
    func bits(method name: String, settings: String) throws {
        let method = try #require(methods.first { $0.name == name })
        let text = """
            {"vocab_size": 1000, "n_positions": 160, "n_embd": 192, "n_layer": 2, "n_head": 4, "embd_pdrop": 0.1,
             "resid_pdrop": 0.1, "attn_pdrop": 0.1, "initializer_range": 0.1}
            """
        let model = try GPT2(configuration: section(text), source: RandomParameters(seed: 5))
        let installation = try make(method, section(settings)).install(
            into: model, InstallationContext(seed: 5, basePath: "base", isTraining: true))
        randomise(installation)
        let lengths = [97, 1, 160, 42]
        var tokens = noise(lengths.reduce(0, +), seed: 3).map { Int32(($0 + 1) * 499) }[...]
        var batch = TokenBatch(
            sequences: lengths.map { count in
                defer { tokens = tokens.dropFirst(count) }
                return Array(tokens.prefix(count))
            })
        batch.labels = batch.tokens.enumerated().map { $0 % 3 == 0 ? TokenBatch.ignored : 999 - $1 }

        let before = WorkerPool.shared.threadCount
        defer { WorkerPool.shared.threadCount = before }
        var results: [[[UInt32]]] = []
        for threads in 1...4 {
            WorkerPool.shared.threadCount = threads
            for parameter in installation.trainable { parameter.tensor.clearGradient() }
            let loss = model.loss(batch, scale: 1 / 200, .training(seed: 1, pass: 0))
            let bits = [loss.tensor.values[0].bitPattern, Float(loss.sum).bitPattern]
            loss.tensor.backward()
            results.append(
                try [bits]
                    + installation.trainable.map { try #require($0.tensor.gradient).values.map(\.bitPattern) })
        }
        let names = ["loss"] + installation.trainable.map(\.name)
        for (threads, result) in results.enumerated().dropFirst() {
            let differing = zip(names, zip(result, results[0])).filter { $1.0 != $1.1 }.map(\.0)
            #expect(differing.isEmpty, "\(threads + 1) threads")
        }
    }
}
