import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing

@Suite("Gradient checkpointing") struct CheckpointingTests {
    @Test("changes no bit of the loss and the gradients, dropout included", arguments: MethodCase.all)
    func bits(method: MethodCase) throws {
        let small = try SmallModel(method, dropout: 0.3)
        let installation = try small.install(method.method, method.settings)
        randomise(installation)
        let results = try [false, true].map { isCheckpointing in
            let loss = small.lossWithGradients(
                installation.trainable, .training(seed: 3, pass: 4, isCheckpointing: isCheckpointing))
            return try [[UInt32(truncatingIfNeeded: loss.bitPattern), UInt32(loss.bitPattern >> 32)]]
                + installation.trainable.map { try #require($0.tensor.gradient).values.map(\.bitPattern) }
        }
        let names = ["loss"] + installation.trainable.map(\.name)
        #expect(zip(names, zip(results[0], results[1])).filter { $1.0 != $1.1 }.map(\.0) == [])
    }

    @Test("adds to the gradients of earlier micro-batches")
    func accumulation() throws {
        let small = try SmallModel(dropout: 0.3)
        let parameters = small.model.parameters.map(\.tensor)
        let results = [false, true].map { isCheckpointing in
            for parameter in parameters { parameter.clearGradient() }
            for pass: UInt64 in 0..<3 {
                small.model.loss(
                    small.batch, scale: 1, .training(seed: 1, pass: pass, isCheckpointing: isCheckpointing)
                ).tensor.backward()
            }
            return parameters.map { $0.gradient?.values ?? [] }
        }
        #expect(results[0] == results[1] && !results[0].contains([]))
    }
}
