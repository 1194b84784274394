/// A module of a model as methods find it: by its path, with its parameters and, where it has one, its adapter slot.
public struct NamedModule {
    public enum Kind {
        case linear(Linear)
        /// A table of rows, such as a token embedding.
        case embedding(Embedding)
        case norm
        /// A block or another group of modules.
        case container
    }

    /// The path in the checkpoint's names, such as `transformer.h.0.attn.c_attn`.
    public let path: String
    public let kind: Kind
    /// Why nothing can be put into it as a whole, nor a copy of it trained, though single rows may; nil for most.
    public let obstacle: String?
    /// Why single rows of a table can't train either; nil for most.
    public let rowObstacle: String?

    public init(path: String, kind: Kind, obstacle: String? = nil, rowObstacle: String? = nil) {
        self.path = path
        self.kind = kind
        self.obstacle = obstacle
        self.rowObstacle = rowObstacle
    }
}

/// Modules by what they compute, as `target_modules` would name them; a method picks those that its paper changes.
public struct DefaultTargets: Sendable, Hashable {
    public let queriesAndValues: [String]
    /// The layers of the attention whose outputs IA³ scales: those of keys and values by its paper.
    public let rescaled: [String]
    /// The last linear layers of the feed-forward parts.
    public let feedForwardOutputs: [String]
    public let norms: [String]
    /// The layers among which AdaLoRA shares out its ranks.
    public let allocated: [String]

    /// `allocated` may be nil, for the queries and values.
    public init(
        queriesAndValues: [String], rescaled: [String], feedForwardOutputs: [String], norms: [String],
        allocated: [String]? = nil
    ) {
        self.queriesAndValues = queriesAndValues
        self.rescaled = rescaled
        self.feedForwardOutputs = feedForwardOutputs
        self.norms = norms
        self.allocated = allocated ?? queriesAndValues
    }
}

/// A model as methods see it: named modules, named parameters, and a head that can be given a weight of its own.
public protocol AdaptableModel: AnyObject {
    /// The class that `transformers` loads the model with, such as `GPT2LMHeadModel`.
    var transformersClass: String { get }

    /// What peft's files say that the model does: `CAUSAL_LM` or `SEQ_2_SEQ_LM`.
    var taskType: String { get }

    /// All modules, a container before what it holds.
    var modules: [NamedModule] { get }

    /// The ends of the sub-layers, in the order in which they are computed.
    var joins: [ResidualJoin] { get }

    /// All parameters, in the order of the checkpoint; without the head's weight where it is the token embedding.
    var parameters: [Parameter] { get }

    /// The modules that methods change where the configuration names none.
    var defaultTargets: DefaultTargets { get }

    /// The biases that play a role, in the model's order; none where the model has no such bias.
    func biases(_ role: BiasRole) -> [BiasPart]

    /// The path of the output layer, which `all-linear` leaves out.
    var outputLayerPath: String { get }

    /// The weight of a task's head, which trains whatever the method; nil for a language model.
    var taskHead: Parameter? { get }

    /// The table that turns tokens into vectors.
    var tokenEmbedding: Parameter { get }

    /// Whether the output layer's weight is the token embedding.
    var isHeadTied: Bool { get }

    /// Gives the output layer a weight of its own, equal to the token embedding as it is now. No effect where it has one.
    func untieHead()

    /// Makes the output layer's weight the token embedding again, as `untieHead` found it.
    func retieHead()

    /// What a method has put into every sequence beside its tokens.
    var prompt: (any LearnedPrompt)? { get set }

    /// What a learned prompt must fit.
    var promptShape: PromptShape { get }
}

extension AdaptableModel {
    public var taskType: String { promptShape.encoderLayerCount == nil ? "CAUSAL_LM" : "SEQ_2_SEQ_LM" }

    /// The parameters below a module's path.
    public func parameters(of path: String) -> [Parameter] {
        parameters.filter { $0.name.hasPrefix(path + ".") }
    }
}

extension AdaptableModel {
    /// Has all linear layers multiply numbers rounded to BF16, where the processor has such products.
    public func roundProducts() {
        for module in modules {
            if case .linear(let layer) = module.kind { layer.roundsProducts = true }
        }
    }
}
