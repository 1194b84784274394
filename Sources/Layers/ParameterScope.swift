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

    /// The same for the weight of a linear layer, [inputs, outputs] or [outputs, inputs], which may be kept in fewer bits.
    func linearWeight(
        named name: String, shape: [Int], isInputByOutput: Bool, _ initializer: Initializer
    ) throws -> (any StoredTensor)?

    /// The names that it holds; empty for one that makes tensors.
    var names: [String] { get }

    /// The seed of what is made anew because no checkpoint need have it.
    var seed: UInt64 { get }

    /// The file or folder, for messages.
    var location: String? { get }

    /// The name that it has for a tensor of the model, for messages.
    func storedName(_ name: String) -> String

    /// What was found odd about its tensors, or their configuration, and stops nothing.
    var warnings: [Problem] { get set }
}

extension ParameterSource {
    public func linearWeight(
        named name: String, shape: [Int], isInputByOutput: Bool, _ initializer: Initializer
    ) throws -> (any StoredTensor)? {
        try tensor(named: name, shape: shape, initializer)
    }

    public func storedName(_ name: String) -> String { name }
}

/// A place in a model's tree of names, at which a layer asks for its tensors by path and shape.
///
/// What is missing or misshapen is collected, so that one message lists everything once the model is built.
public final class ParameterScope {
    public let path: String
    private let ledger: Ledger

    private final class Ledger {
        let source: any ParameterSource
        /// The names that the source holds.
        let names: Set<String>
        var parameters: [Parameter] = []
        /// Names of the source that stand for a parameter of another name, or equal one.
        var others: Set<String> = []
        var problems: [Problem] = []
        init(source: any ParameterSource) {
            self.source = source
            names = Set(source.names)
        }
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

    /// The linear layer of this scope.
    ///
    /// - Parameter isInputByOutput: Whether the file keeps the weight as [inputs, outputs].
    public func linear(
        inputs: Int, outputs: Int, _ initializer: Initializer, hasBias: Bool, isInputByOutput: Bool = false
    ) -> Linear {
        Linear(
            path: path,
            weight: linearWeight(inputs: inputs, outputs: outputs, initializer, isInputByOutput: isInputByOutput),
            bias: hasBias ? parameter("bias", [outputs], .constant(0)) : nil, isInputByOutput: isInputByOutput)
    }

    /// The weight of this scope's linear layer.
    public func linearWeight(
        inputs: Int, outputs: Int, _ initializer: Initializer, isInputByOutput: Bool = false
    ) -> Parameter {
        let fullName = path.isEmpty ? "weight" : "\(path).weight"
        let shape = isInputByOutput ? [inputs, outputs] : [outputs, inputs]
        let value = checked(fullName, shape, isInputByOutput: isInputByOutput) {
            try ledger.source.linearWeight(
                named: fullName, shape: shape, isInputByOutput: isInputByOutput, initializer)
        }
        let parameter = Parameter(name: fullName, value: value)
        ledger.parameters.append(parameter)
        return parameter
    }

    /// The tensor `name` of this scope; where the source hasn't got it, as for a new task, one that begins as
    /// `initializer` says.
    public func optional(_ name: String, _ shape: [Int], _ initializer: Initializer) -> Parameter {
        let fullName = path.isEmpty ? name : "\(path).\(name)"
        let value: any StoredTensor =
            ledger.names.contains(fullName)
            ? self.value(fullName, shape, initializer)
            : RandomParameters(seed: ledger.source.seed).make(fullName, shape, initializer)
        let parameter = Parameter(name: fullName, value: value)
        ledger.parameters.append(parameter)
        return parameter
    }

    /// The tensor `name` of this scope or, where the source hasn't got it, the first of `others` that it has, by their whole
    /// names, in its place.
    public func parameter(
        _ name: String, _ shape: [Int], _ initializer: Initializer, otherwise others: [String]
    ) -> Parameter {
        let fullName = path.isEmpty ? name : "\(path).\(name)"
        guard !ledger.names.contains(fullName), let other = others.first(where: ledger.names.contains) else {
            return parameter(name, shape, initializer)
        }
        ledger.others.insert(other)
        let parameter = Parameter(name: fullName, value: value(other, shape, initializer))
        ledger.parameters.append(parameter)
        return parameter
    }

    /// The tensor `name` of this scope where the source has one that isn't `other` once more, as of a layer that shares
    /// that parameter by default; nil otherwise.
    public func parameter(_ name: String, differingFrom other: Parameter) -> Parameter? {
        let fullName = path.isEmpty ? name : "\(path).\(name)"
        guard ledger.names.contains(fullName), !ledger.others.contains(fullName) else { return nil }
        ledger.others.insert(fullName)
        let value = value(fullName, other.shape, .constant(0))
        guard value.shape == other.shape, !value.isEqual(to: other.value) else { return nil }
        let parameter = Parameter(name: fullName, value: value)
        ledger.parameters.append(parameter)
        return parameter
    }

    /// The tensor `name` of this scope is a copy of `other` where the source has it at all; anything else is a problem.
    public func copy(_ name: String, of other: Parameter) {
        let fullName = path.isEmpty ? name : "\(path).\(name)"
        guard ledger.names.contains(fullName), !ledger.others.contains(fullName) else { return }
        ledger.others.insert(fullName)
        let value = value(fullName, other.shape, .constant(0))
        if value.shape == other.shape, other.count > 0, !value.isEqual(to: other.value) {
            report(
                "differs from \(ledger.source.storedName(other.name)), though the model has one table for both",
                fullName)
        }
    }

    /// Says what is odd about the tensor `name` of the model.
    public func warn(_ message: String, about name: String) {
        ledger.source.warnings.append(
            Problem(
                message, file: ledger.source.location, key: ledger.source.storedName(name), severity: .warning))
    }

    /// Everything that was asked for so far, in that order.
    public var parameters: [Parameter] { ledger.parameters }

    /// Ends the building of a model.
    ///
    /// Tensors that nobody asked for, such as another library's head, are a warning where all others are there.
    ///
    /// - Parameter isIgnorable: Whether a tensor of the source that nobody asked for is of no account.
    /// - Throws: `Problems` that list every missing and misshapen tensor, and then every unused one too.
    public func finish(isIgnorable: (String) -> Bool) throws(Problems) {
        let asked = Set(ledger.parameters.map(\.name)).union(ledger.others)
        let source = ledger.source
        let unused = source.names.filter { !asked.contains($0) && !isIgnorable($0) }.map(source.storedName)
        guard ledger.problems.isEmpty else {
            throw Problems(
                ledger.problems
                    + unused.map {
                        Problem("the model has no place for this tensor", file: source.location, key: $0)
                    })
        }
        guard let first = unused.first else { return }
        let most = 8
        let others = unused.dropFirst().prefix(most - 1).map { ", " + $0 }.joined()
        let more = unused.count > most ? " and \(unused.count - most) more" : ""
        source.warnings.append(
            Problem(
                unused.count == 1
                    ? "the model has no place for this tensor: it takes no part in what is computed"
                    : "the model has no place for \(unused.count) tensors, which take no part in what is computed: "
                        + first + others + more, file: source.location, key: unused.count == 1 ? first : nil,
                severity: .warning))
    }

    private func value(_ name: String, _ shape: [Int], _ initializer: Initializer) -> any StoredTensor {
        checked(name, shape) { try ledger.source.tensor(named: name, shape: shape, initializer) }
    }

    /// What `find` gives, if it has that shape; otherwise a problem is noted.
    private func checked(
        _ name: String, _ shape: [Int], isInputByOutput: Bool = false, _ find: () throws -> (any StoredTensor)?
    ) -> any StoredTensor {
        do {
            if let found = try find() {
                if found.shape == shape { return found }
                let isTransposed = isInputByOutput && found.shape == shape.reversed()
                report(
                    "has shape \(found.shape), but the configuration asks for \(shape)"
                        + (isTransposed ? ", its transpose, which dequantize() of transformers leaves of GPT-2" : ""),
                    name)
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
        ledger.problems.append(
            Problem(message, file: ledger.source.location, key: ledger.source.storedName(name)))
    }
}

/// Makes every tensor anew from a seed.
public final class RandomParameters: ParameterSource {
    public let seed: UInt64
    public var warnings: [Problem] = []

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
