import Diagnostics
import JSONText
import Layers
import Tensors

/// A method that trains parameters of the model itself and delivers them as an adapter.
final class ParameterInstallation: Installation {
    private let parameters: ExtraParameters
    private let configuration: JSONValue

    init(_ parameters: ExtraParameters, _ configuration: JSONValue) {
        self.parameters = parameters
        self.configuration = configuration
    }

    var trainable: [TrainableParameter] { parameters.trainable }

    func deliver() -> Delivery {
        .adapter(
            configuration: configuration,
            tensors: parameters.tensors.map { ("base_model.model." + $0.name, $0.tensor) })
    }

    func load(_ tensors: [String: Tensor], file: String) throws(Problems) {
        try loadExactly(tensors, into: parameters.tensors, file: file)
    }

    func merge(weight: Float) { parameters.merge(weight: weight) }

    func remove() { parameters.restore() }
}
