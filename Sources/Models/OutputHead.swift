import Batches
import Layers

/// The output layer of a language model, which is the token embedding again (tied) or has a weight of its own, or the head
/// of a task in its place.
final class OutputHead {
    /// The path of a task's head, the same in every family.
    static let taskHeadPath = "score"

    let objective: Objective
    let linear: Linear
    private let tokens: Embedding
    private let ownParameters: [Parameter]
    private let languageModelName: String
    /// Whether it had the token embedding's weight from the start.
    private let isBuiltTied: Bool

    /// Takes the weight from `root`, when all else has been asked for.
    ///
    /// - Parameters:
    ///   - tokens: The token embedding, as `vocabulary` made it.
    ///   - warnsOfOwnWeight: Whether a weight beside that of a tied model is worth a word.
    init(
        _ root: ParameterScope, objective: Objective, vocabulary: Vocabulary, tokens: Embedding,
        warnsOfOwnWeight: Bool = true
    ) {
        let weight: Parameter
        let path = objective.outputCount == nil ? vocabulary.headPath : Self.taskHeadPath
        languageModelName = "\(vocabulary.headPath).weight"
        if let outputs = objective.outputCount {
            weight = root[path].optional("weight", [outputs, tokens.width], vocabulary.initializer)
        } else if !vocabulary.isHeadTied {
            weight = root[path].linearWeight(
                inputs: tokens.width, outputs: tokens.weight.shape[0], vocabulary.initializer)
        } else if let own = root[path].parameter("weight", differingFrom: tokens.weight) {
            weight = own
            if warnsOfOwnWeight {
                root.warn(
                    "differs from the token embedding, though tie_word_embeddings says that they are one: both are kept",
                    about: own.name)
            }
        } else {
            weight = tokens.weight
        }
        linear = Linear(path: path, weight: weight, bias: nil, isInputByOutput: false)
        isBuiltTied = weight === tokens.weight
        ownParameters = root.parameters
        self.objective = objective
        self.tokens = tokens
    }

    /// A tensor of a checkpoint that the objective has no use for; nil where there is none.
    var unusedName: String? { objective == .languageModel ? nil : languageModelName }

    /// The weight of a task's head; nil for a language model.
    var taskWeight: Parameter? { objective == .languageModel ? nil : linear.weight }

    var isTied: Bool { linear.weight === tokens.weight }

    /// All parameters of the model.
    var parameters: [Parameter] { isTied || !isBuiltTied ? ownParameters : ownParameters + [linear.weight] }

    func untie() {
        if isTied { linear.setWeight(Parameter(name: languageModelName, value: tokens.weight.value)) }
    }

    func retie() {
        if isBuiltTied { linear.setWeight(tokens.weight) }
    }
}

/// The tables over a model's vocabulary.
struct Vocabulary {
    let size: Int
    let width: Int
    let headPath: String
    let isHeadTied: Bool
    let initializer: Initializer
    /// `pad_token_id` of families whose embedding doesn't learn that row from where it is read.
    var paddingIndex: Int32?

    /// The token embedding; of a tied model also where the file has the head alone, or one of `others`, by their names.
    func embedding(_ scope: ParameterScope, otherwise others: [String] = []) -> Embedding {
        Embedding(
            path: scope.path,
            weight: scope.parameter(
                "weight", [size, width], initializer, otherwise: others + (isHeadTied ? ["\(headPath).weight"] : [])),
            paddingIndex: paddingIndex)
    }
}
