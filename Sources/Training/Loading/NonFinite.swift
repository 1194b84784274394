public import Checkpoints
public import Diagnostics
import Layers
public import Models
import Tensors

/// Why `what`, which a model has computed, is no finite number: the parameter that holds such a number, or the sizes of
/// its weights.
public func nonFiniteResult(_ what: String, of model: any LanguageModel) -> Problem {
    for parameter in model.parameters {
        guard let element = parameter.value.firstNonFinite else { continue }
        return nonFiniteProblem(element, in: parameter.name, file: model.location)
    }
    return Problem(
        "\(what) is no finite number, although all of the model's weights are: they, or an adapter's, are too large to be "
            + "computed with", file: model.location)
}

extension ModelWeights {
    /// Throws a `Problem` that names the first tensor with an element that is NaN or infinite, where there is one.
    public func requireFinite() throws {
        for entry in tensors { try raw(named: entry.name).requireFinite() }
    }
}
