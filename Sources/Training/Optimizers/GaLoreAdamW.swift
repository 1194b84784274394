import Diagnostics
import Glibc
import Layers
public import Methods
import Tensors

/// AdamW whose moments know the gradients of linear layers only in the directions of their largest singular values, which
/// are found anew every so many steps (Zhao et al. 2024), as `galore_torch` computes it: W ← W − η s Uᵀ N V, where N is
/// AdamW's step for U G Vᵀ; ε isn't corrected for the beginning, and decay comes last.
///
/// A weight that is kept as [inputs, outputs] is taken for the linear layer's that it is the transpose of.
public final class GaLoreAdamW: Optimizer {
    public static let names = ["galore_adamw"]
    public static let takesTargets = true
    public static let epsilon = 1e-6
    public static let arguments = [
        OptimizerArgument("rank", .count), OptimizerArgument("update_proj_gap", .count),
        OptimizerArgument("scale", .factor),
        OptimizerArgument("proj_type", .word(["std", "reverse_std", "right", "left", "full"])),
    ]

    /// How a parameter's state lies: the first entry of it, and which directions a projection is of, if there is one.
    private struct Place {
        let first: Int
        var isLeft = false
        var isRight = false

        var isProjected: Bool { isLeft || isRight }
        var left: Int { first }
        var right: Int { first + (isLeft ? 1 : 0) }
        var moments: Int { right + (isRight ? 1 : 0) }
    }

    public let parameters: [TrainableParameter]
    public let state: OptimizerState
    public private(set) var stepCount = 0
    private let settings: AdamW.Settings
    private let rank: Int
    private let gap: Int
    private let factor: Double
    private let places: [Place]

    public var maximumNorm: Double { settings.maximumNorm }

    public init(_ context: OptimizerContext) throws {
        parameters = context.parameters
        settings = context.settings.adam
        rank = context.settings.argument("rank", default: 128)
        gap = context.settings.argument("update_proj_gap", default: 200)
        factor = context.settings.argument("scale", default: 0.25)
        let form = context.settings.argument("proj_type", default: "std")
        let layers = try OptimizerTargets(context).layers
        var entries: [OptimizerState.Entry] = []
        var places: [Place] = []
        for (index, parameter) in parameters.enumerated() {
            var place = Place(first: entries.count)
            var shape = parameter.value.shape
            if let layer = layers[index] {
                (place.isLeft, place.isRight) = Self.sides(of: layer, form)
                let (rows, columns) = (shape[0], shape[1])
                let kept = min(rank, rows, columns)
                if place.isLeft { entries.append(.init("projection_left.\(parameter.name)", [kept, rows])) }
                if place.isRight { entries.append(.init("projection_right.\(parameter.name)", [kept, columns])) }
                shape = [place.isLeft ? kept : rows, place.isRight ? kept : columns]
            }
            entries += ["exp_avg", "exp_avg_sq"].map { .init("\($0).\(parameter.name)", shape) }
            places.append(place)
        }
        self.places = places
        state = OptimizerState(entries)
    }

    /// Over which sides of the weight as it is kept directions are taken: with `std` over the shorter one, over the inputs
    /// where both are as long.
    private static func sides(of layer: Linear, _ form: String) -> (left: Bool, right: Bool) {
        let overInputs =
            switch form {
            case "reverse_std": layer.outputSize < layer.inputSize
            case "right": true
            case "left": false
            default: layer.outputSize >= layer.inputSize
            }
        if form == "full" { return (true, true) }
        return overInputs == layer.isInputByOutput ? (true, false) : (false, true)
    }

    public func update(gradientScale: Float, rate: (Int) -> Double) {
        renewProjections()
        stepCount += 1
        for (index, parameter) in parameters.enumerated() {
            guard let gradient = parameter.gradient else { continue }
            let (place, rate) = (places[index], rate(index))
            var step = AdamWStep(
                settings, parameter, rate: rate, number: stepCount, gradientScale: gradientScale)
            let shrinking = step.weightDecay * rate
            step.weightDecay = 0
            step.epsilon /= (1 - pow(settings.beta2, Double(stepCount))).squareRoot()
            let (first, second) = (state.floats(place.moments), state.floats(place.moments + 1))
            if place.isProjected {
                step.learningRate *= factor
                let projection = projection(place)
                let low = projection(gradient)
                let change = Tensor(zeros: low.shape)
                adamW(parameter: change, gradient: low, firstMoment: first, secondMoment: second, step)
                projection.add(change, to: parameter.value)
            } else {
                adamW(parameter: parameter.value, gradient: gradient, firstMoment: first, secondMoment: second, step)
            }
            if shrinking > 0 { scaleInPlace(parameter.value, by: Float(1 - shrinking)) }
        }
    }

    public func resume(stepCount: Int) { self.stepCount = stepCount }

    private func projection(_ place: Place) -> GradientProjection {
        GradientProjection(
            left: place.isLeft ? state.floats(place.left) : nil, right: place.isRight ? state.floats(place.right) : nil)
    }

    /// Takes the directions of the gradients that are there, where that is due or none were taken yet.
    private func renewProjections() {
        let isDue = stepCount % gap == 0
        var wanted: [(entry: Int, gradient: Tensor, isLeft: Bool)] = []
        for (place, parameter) in zip(places, parameters) where place.isProjected {
            guard let gradient = parameter.gradient else { continue }
            if place.isLeft { wanted.append((place.left, gradient, true)) }
            if place.isRight { wanted.append((place.right, gradient, false)) }
        }
        wanted.removeAll { !isDue && !isEmpty(state.floats($0.entry)) }
        let found = parallelMap(wanted.count) { number -> Tensor in
            let (entry, gradient, isLeft) = wanted[number]
            let before = state.floats(entry)
            return leadingVectors(
                gradient, isLeft: isLeft, count: rank, previous: isEmpty(before) ? nil : before)
        }
        for ((entry, _, _), vectors) in zip(wanted, found) {
            state.floats(entry).data.update(from: vectors.data, count: vectors.count)
        }
    }

    /// Whether no directions were taken yet.
    private func isEmpty(_ vectors: Tensor) -> Bool {
        !UnsafeBufferPointer(start: vectors.data, count: vectors.count).contains { $0 != 0 }
    }
}
