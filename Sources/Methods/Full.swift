public import Configuration
public import Diagnostics
public import Layers
public import Tensors

/// Full fine-tuning: every parameter of the model trains, and an ordinary checkpoint comes out.
public struct Full: PEFTMethod {
    public static let name = "full"
    public static let learningRate = 5e-5
    public static let adapterType: String? = nil

    public init() {}

    public init(_ section: ConfigSection, startingFrom defaults: Full?) {}

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        try FullInstallation(model, tracking: context.isTraining)
    }
}

private final class FullInstallation: Installation {
    private let parameters: ExtraParameters

    init(_ model: any AdaptableModel, tracking: Bool) throws(Problem) {
        parameters = ExtraParameters(model: model)
        for parameter in model.parameters { parameters.add(parameter, savedName: parameter.name) }
        try parameters.takeOver(tracking: tracking)
    }

    var trainable: [TrainableParameter] { parameters.trainable }

    func deliver() -> Delivery { .checkpoint }

    func load(_ tensors: [String: Tensor], file: String) throws(Problems) {
        try loadExactly(tensors, into: trainable.map { ($0.name, $0.tensor) }, file: file)
    }

    func merge(weight: Float) { parameters.merge(weight: weight) }

    func remove() { parameters.restore() }
}

/// Copies the tensors of a file into those of a method, which must be the same set with the same shapes.
public func loadExactly(
    _ tensors: [String: Tensor], into targets: [(name: String, tensor: Tensor)], file: String
) throws(Problems) {
    try checkShapes(tensors.mapValues(\.shape), targets.map { ($0.name, $0.tensor.shape) }, file: file)
    for (name, target) in targets {
        if let found = tensors[name] { target.data.update(from: found.data, count: target.count) }
    }
}
