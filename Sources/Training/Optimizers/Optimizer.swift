public import Configuration
public import Layers
public import Methods
import Tensors

/// A rule by which gradients change parameters, and what it remembers from step to step.
public protocol Optimizer: AnyObject {
    /// What `training.optim` calls it, as transformers does; the first is told where it is told.
    static var names: [String] { get }

    /// What `training.optim_args` may hold.
    static var arguments: [OptimizerArgument] { get }

    /// Whether `training.optim_target_modules` says which layers it treats in its own way.
    static var takesTargets: Bool { get }

    /// Whether its state lies in a scratch file.
    static var isPaged: Bool { get }

    /// `training.adam_epsilon` where none is given.
    static var epsilon: Double { get }

    /// Whether its steps are as large as the gradients are, rather than about as large as the rate.
    static var stepsFollowGradients: Bool { get }

    /// What is wrong with `training.optim_args` as a whole, in words; nil where nothing is.
    static func complaint(about settings: OptimizerSettings) -> String?

    /// Plans its state, which takes memory with `state.allocate`.
    ///
    /// - Throws: `Problems` where its settings don't fit the model or what trains.
    init(_ context: OptimizerContext) throws

    var parameters: [TrainableParameter] { get }

    /// The most that the norm of all gradients together may be; 0 for no limit.
    var maximumNorm: Double { get }

    /// All that it remembers beside `stepCount`.
    var state: OptimizerState { get }

    /// How many steps were taken.
    var stepCount: Int { get }

    /// Takes one step; the gradients are left as they were. A parameter without a gradient stays as it is.
    ///
    /// - Parameters:
    ///   - gradientScale: What gradients are multiplied by, such as the factor of clipping.
    ///   - rate: The learning rate of each parameter, by its number.
    func update(gradientScale: Float, rate: (Int) -> Double)

    /// Goes on where an optimizer of the same parameters stopped, whose `state` has been copied into this one's.
    func resume(stepCount: Int)
}

/// Every optimizer that the tool knows.
public var optimizers: [any Optimizer.Type] {
    [
        AdamW.self,
        AdamW8Bit.self,
        PagedAdamW.self,
        PagedAdamW8Bit.self,
        SGD.self,
        Adafactor.self,
        Lion.self,
        PagedLion.self,
        RMSProp.self,
        Adagrad.self,
        GaLoreAdamW.self,
    ]
}

/// What an optimizer is made for.
public struct OptimizerContext {
    public let parameters: [TrainableParameter]
    public let settings: OptimizerSettings
    public let model: any AdaptableModel
    /// The method by which they train.
    public let method: String
    /// `training`, where the settings were written.
    public let section: ConfigSection
}

extension Optimizer {
    public static var arguments: [OptimizerArgument] { [] }
    public static var takesTargets: Bool { false }
    public static var isPaged: Bool { false }
    public static var epsilon: Double { 1e-8 }
    public static var stepsFollowGradients: Bool { false }
    public static func complaint(about settings: OptimizerSettings) -> String? { nil }

    /// The norm of all gradients together; not finite where one of their elements isn't.
    public func gradientNorm() -> Double {
        parameters.reduce(0) { $0 + ($1.gradient.map(sumOfSquares) ?? 0) }.squareRoot()
    }

    /// What gradients of a norm are multiplied by to stay within the limit.
    public func clipping(gradientNorm: Double) -> Float {
        Float(maximumNorm > 0 ? min(1, maximumNorm / (gradientNorm + 1e-6)) : 1)
    }

    /// Clips and takes one step with one rate for all, but for what parameters have of their own.
    ///
    /// - Returns: What clipping multiplied the gradients by.
    @discardableResult
    public func step(learningRate: Double, gradientNorm: Double) -> Float {
        let scale = clipping(gradientNorm: gradientNorm)
        update(gradientScale: scale) { learningRate * parameters[$0].rateFactor }
        return scale
    }

    /// Drops the gradients of all parameters.
    public func clearGradients() {
        for parameter in parameters { parameter.tensor.clearGradient() }
    }
}
