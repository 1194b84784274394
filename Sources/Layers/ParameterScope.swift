public import Diagnostics
public import Tensors

/// How a tensor begins where no checkpoint gives it.
public enum Initializer: Sendable, Hashable {
    case constant(Float)
    /// N(0, σ)
    case normal(standardDeviation: Float)
}

/// Where a model's tensors come from.
public protocol ParameterSource: AnyObject {
    /// The tensor of that name; nil where it is missing. The shape and the beginning are for sources that make tensors.
    func tensor(named name: String, shape: [Int], _ initializer: Initializer) throws -> (any StoredTensor)?

    /// The names that it holds; empty for one that makes tensors.
    var names: [String] { get }

    /// The seed of what is made anew because no checkpoint need have it.
    var seed: UInt64 { get }

    /// The file or folder, for messages.
    var location: String? { get }
}

/// A place in a model's tree of names, at which a layer asks for its tensors by path and shape.
///
/// What is missing or misshapen is collected, so that one message lists everything once the model is built.
public final class ParameterScope {
    public let path: String
    private let ledger: Ledger

    private final class Ledger {
        let source: any ParameterSource
        var parameters: [Parameter] = []
        var problems: [Problem] = []
        init(source: any ParameterSource) { self.source = source }
    }

    public convenience init(_ source: any ParameterSource) { self.init(path: "", ledger: Ledger(source: source)) }

    private init(path: String, ledger: Ledger) {
        self.path = path
        self.ledger = ledger
    }

    /// The scope one level below.
    public subscript(_ name: String) -> ParameterScope {
        ParameterScope(path: path.isEmpty ? name : "\(path).\(name)", ledger: ledger)
    }

    /// The tensor `name` of this scope.
    public func parameter(_ name: String, _ shape: [Int], _ initializer: Initializer) -> Parameter {
        let fullName = path.isEmpty ? name : "\(path).\(name)"
        let parameter = Parameter(name: fullName, value: value(fullName, shape, initializer))
        ledger.parameters.append(parameter)
        return parameter
    }

    /// The tensor `name` of this scope; where the source hasn't got it, as for a new task, one that begins as
    /// `initializer` says.
    public func optional(_ name: String, _ shape: [Int], _ initializer: Initializer) -> Parameter {
        let fullName = path.isEmpty ? name : "\(path).\(name)"
        let value: any StoredTensor =
            ledger.source.names.contains(fullName)
            ? self.value(fullName, shape, initializer)
            : RandomParameters(seed: ledger.source.seed).make(fullName, shape, initializer)
        let parameter = Parameter(name: fullName, value: value)
        ledger.parameters.append(parameter)
        return parameter
    }

    /// Everything that was asked for so far, in that order.
    public var parameters: [Parameter] { ledger.parameters }

    /// Ends the building of a model.
    ///
    /// - Parameter isIgnorable: Whether a tensor of the source that nobody asked for is of no account.
    /// - Throws: `Problems` that list every missing, misshapen and unused tensor.
    public func finish(isIgnorable: (String) -> Bool) throws(Problems) {
        let asked = Set(ledger.parameters.map(\.name))
        var problems = ledger.problems
        for name in ledger.source.names where !asked.contains(name) && !isIgnorable(name) {
            problems.append(
                Problem("the model has no place for this tensor", file: ledger.source.location, key: name))
        }
        if !problems.isEmpty { throw Problems(problems) }
    }

    private func value(_ name: String, _ shape: [Int], _ initializer: Initializer) -> any StoredTensor {
        do {
            if let found = try ledger.source.tensor(named: name, shape: shape, initializer) {
                if found.shape == shape { return found }
                report("has shape \(found.shape), but the configuration asks for \(shape)", name)
            } else {
                report("is missing; the configuration asks for shape \(shape)", name)
            }
        } catch let problem as Problem {
            ledger.problems.append(problem)
        } catch let problems as Problems {
            ledger.problems += problems.list
        } catch {
            report("can't be read: \(error)", name)
        }
        // Takes the place until `finish` throws; a shape from a wrong configuration may be too large for memory.
        return Tensor(zeros: [0])
    }

    private func report(_ message: String, _ name: String) {
        ledger.problems.append(Problem(message, file: ledger.source.location, key: name))
    }
}

/// Makes every tensor anew from a seed.
public final class RandomParameters: ParameterSource {
    public let seed: UInt64

    public init(seed: UInt64) { self.seed = seed }

    public var names: [String] { [] }
    public var location: String? { nil }

    public func tensor(named name: String, shape: [Int], _ initializer: Initializer) -> (any StoredTensor)? {
        make(name, shape, initializer)
    }

    func make(_ name: String, _ shape: [Int], _ initializer: Initializer) -> Tensor {
        switch initializer {
        case .constant(let value): return Tensor(repeating: value, shape)
        case .normal(let deviation):
            // Each tensor draws from a stream of its own, so that a value doesn't depend on what else the model has.
            var generator = RandomGenerator(seed: seed, stream: name)
            let tensor = Tensor(uninitialized: shape)
            for i in 0..<tensor.count { tensor.data[i] = deviation * Float(generator.nextNormal()) }
            return tensor
        }
    }
}
