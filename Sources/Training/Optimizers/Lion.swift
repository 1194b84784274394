public import Methods
import Tensors

/// Lion (Chen et al. 2023) as bitsandbytes computes it: steps of the rate's size in the direction of a sign. As in
/// transformers its decays are `adam_beta1` and `adam_beta2`, whose defaults aren't the paper's.
public class Lion: Optimizer {
    public class var names: [String] { ["lion_32bit"] }
    public class var isPaged: Bool { false }

    public let parameters: [TrainableParameter]
    public let state: OptimizerState
    public private(set) var stepCount = 0
    private let settings: AdamW.Settings

    public var maximumNorm: Double { settings.maximumNorm }

    public required init(_ context: OptimizerContext) throws {
        parameters = context.parameters
        settings = context.settings.adam
        state = OptimizerState(parameters.map { .init("exp_avg.\($0.name)", $0.value.shape) })
    }

    public func update(gradientScale: Float, rate: (Int) -> Double) {
        stepCount += 1
        for (index, parameter) in parameters.enumerated() {
            guard let gradient = parameter.gradient else { continue }
            lion(
                parameter: parameter.value, gradient: gradient, moment: state.floats(index),
                LionStep(settings, parameter, rate: rate(index), gradientScale: gradientScale))
        }
    }

    public func resume(stepCount: Int) { self.stepCount = stepCount }
}

/// `Lion` with its state in a scratch file, from which the kernel pages it in and out.
public final class PagedLion: Lion {
    override public class var names: [String] { ["paged_lion_32bit"] }
    override public class var isPaged: Bool { true }
}

extension LionStep {
    /// The step of one parameter.
    init(_ settings: AdamW.Settings, _ parameter: TrainableParameter, rate: Double, gradientScale: Float) {
        self.init(
            learningRate: rate, beta1: settings.beta1, beta2: settings.beta2,
            weightDecay: parameter.decays ? settings.weightDecay : 0, gradientScale: gradientScale)
    }
}
