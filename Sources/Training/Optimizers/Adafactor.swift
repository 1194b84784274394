public import Methods
import Tensors

/// Adafactor (Shazeer and Stern 2018) as transformers' `Trainer` builds it: with the run's learning rate, not scaled by the
/// size of parameters. Of a matrix it remembers the means of its gradient's squares over rows and over columns alone.
public final class Adafactor: Optimizer {
    public static let names = ["adafactor"]

    public let parameters: [TrainableParameter]
    public let state: OptimizerState
    public private(set) var stepCount = 0
    public let maximumNorm: Double
    private let weightDecay: Double
    /// Each parameter's first entry in the state, and whether it is a matrix.
    private let places: [(first: Int, isFactored: Bool)]

    public init(_ context: OptimizerContext) throws {
        parameters = context.parameters
        (maximumNorm, weightDecay) = (context.settings.adam.maximumNorm, context.settings.adam.weightDecay)
        var entries: [OptimizerState.Entry] = []
        var places: [(first: Int, isFactored: Bool)] = []
        for parameter in parameters {
            let value = parameter.value
            let isFactored = value.shape.count >= 2
            places.append((entries.count, isFactored))
            entries +=
                isFactored
                ? [
                    .init("exp_avg_sq_row.\(parameter.name)", [value.rowCount]),
                    .init("exp_avg_sq_col.\(parameter.name)", [value.columnCount]),
                ] : [.init("exp_avg_sq.\(parameter.name)", value.shape)]
        }
        self.places = places
        state = OptimizerState(entries)
    }

    public func update(gradientScale: Float, rate: (Int) -> Double) {
        stepCount += 1
        for (index, parameter) in parameters.enumerated() {
            guard let gradient = parameter.gradient else { continue }
            let step = AdafactorStep(
                learningRate: rate(index), weightDecay: parameter.decays ? weightDecay : 0, number: stepCount,
                decayRate: -0.8, clipThreshold: 1, epsilon: 1e-30, gradientScale: gradientScale)
            let (first, isFactored) = places[index]
            if isFactored {
                adafactor(
                    parameter: parameter.value, gradient: gradient, rowMeans: state.floats(first),
                    columnMeans: state.floats(first + 1), step)
            } else {
                adafactor(parameter: parameter.value, gradient: gradient, squares: state.floats(first), step)
            }
        }
    }

    public func resume(stepCount: Int) { self.stepCount = stepCount }
}
