import Layers
import Methods
import Models
import Tensors
import Testing
import Training

@Suite("AdamW over named parameters") struct AdamWTests {
    private let settings = AdamW.Settings(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.5, maximumNorm: 0)

    @Test("leaves a parameter without a gradient as it is, and shrinks only what decays")
    func gradients() {
        let tensors = (0..<3).map { _ in Tensor([1, -2], shape: [1, 2]) }
        let parameters = zip(tensors, [("none", true), ("decays", true), ("bias", false)]).map {
            TrainableParameter(name: $1.0, tensor: $0, decays: $1.1)
        }
        for tensor in tensors.dropFirst() {
            tensor.track()
            // No gradient but a zero one, so that only decay moves anything.
            addResidual(tensor, Tensor(zeros: [1, 2]), dropout: nil).backward(seed: Tensor(zeros: [1, 2]))
        }
        let optimizer = AdamW(parameters, settings)
        #expect(optimizer.gradientNorm() == 0)
        optimizer.step(learningRate: 0.1, gradientNorm: 0)
        #expect(tensors[0].values == [1, -2])
        #expect(tensors[1].values == [0.95, -1.9])
        #expect(tensors[2].values == [1, -2])
        #expect(optimizer.stepCount == 1)
        optimizer.clearGradients()
        #expect(tensors.allSatisfy { $0.gradient == nil })
    }

    @Test("decays neither biases nor norms of a model")
    func decay() throws {
        let training = try TinyTraining()
        let model = try BaseModel.load(training.scratch("model"), randomSeed: 1, warn: { _ in }).model
        let context = InstallationContext(seed: 1, basePath: "", isTraining: true)
        let trainable = try Full().install(into: model, context).trainable
        let kept = trainable.filter { !$0.decays }.map(\.name)
        #expect(kept == trainable.map(\.name).filter { $0.hasSuffix("bias") || $0.contains(".ln_") })
        #expect(kept.count == 18 && trainable.count == 28)
    }
}
