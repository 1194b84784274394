import Layers
public import Methods
import Tensors

/// AdamW with moments in 8 bits (Dettmers et al. 2022), each rounded to the nearest code of its block. Small parameters
/// and tables of embeddings have theirs in 32 bits, as transformers has bitsandbytes do it.
public class AdamW8Bit: Optimizer {
    /// Parameters with fewer elements keep moments in 32 bits.
    static let smallestCount = 4096

    public class var names: [String] { ["adamw_8bit", "adamw_bnb_8bit"] }
    public class var isPaged: Bool { false }

    public let parameters: [TrainableParameter]
    public let state: OptimizerState
    public private(set) var stepCount = 0
    private let settings: AdamW.Settings
    /// Each parameter's first entry in the state, and whether its moments have 8 bits.
    private let places: [(first: Int, isCoded: Bool)]

    public var maximumNorm: Double { settings.maximumNorm }

    public required init(_ context: OptimizerContext) throws {
        parameters = context.parameters
        settings = context.settings.adam
        let tables = Set(
            context.model.modules.compactMap { module -> ObjectIdentifier? in
                guard case .embedding(let table) = module.kind else { return nil }
                return ObjectIdentifier(table.weight.value)
            })
        var entries: [OptimizerState.Entry] = []
        var places: [(first: Int, isCoded: Bool)] = []
        for parameter in parameters {
            let isCoded =
                parameter.count >= Self.smallestCount && !tables.contains(ObjectIdentifier(parameter.tensor))
            places.append((entries.count, isCoded))
            entries += Self.entries(parameter, isCoded: isCoded)
        }
        self.places = places
        state = OptimizerState(entries)
    }

    private static func entries(_ parameter: TrainableParameter, isCoded: Bool) -> [OptimizerState.Entry] {
        let (name, shape) = (parameter.name, parameter.value.shape)
        return ["exp_avg", "exp_avg_sq"].flatMap { moment -> [OptimizerState.Entry] in
            isCoded
                ? [
                    .init("\(moment).\(name)", shape, .bytes),
                    .init("\(moment)_absmax.\(name)", [CodedMoment.blockCount(parameter.count)]),
                ] : [.init("\(moment).\(name)", shape)]
        }
    }

    public func update(gradientScale: Float, rate: (Int) -> Double) {
        stepCount += 1
        for (index, parameter) in parameters.enumerated() {
            guard let gradient = parameter.gradient else { continue }
            let (first, isCoded) = places[index]
            let step = AdamWStep(
                settings, parameter, rate: rate(index), number: stepCount, gradientScale: gradientScale)
            if isCoded {
                adamW8Bit(
                    parameter: parameter.value, gradient: gradient,
                    firstMoment: CodedMoment(codes: state.bytes(first), scales: state.floats(first + 1)),
                    secondMoment: CodedMoment(codes: state.bytes(first + 2), scales: state.floats(first + 3)), step)
            } else {
                adamW(
                    parameter: parameter.value, gradient: gradient, firstMoment: state.floats(first),
                    secondMoment: state.floats(first + 1), step)
            }
        }
    }

    public func resume(stepCount: Int) { self.stepCount = stepCount }
}
