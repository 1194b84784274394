import Batches
import Configuration
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport

/// A small model of a family whose every number is random, norms and biases too, and which asks for every gradient, so
/// that a method that forgets to freeze something is seen.
struct SmallModel {
    static let (width, heads, layers, vocabulary, positions, inner) = (8, 2, 2, 11, 7, 12)
    /// The rows that cases with `trainable_token_indices` train, in this order.
    static let trainedTokens = [5, 1, 3]

    let model: any LanguageModel
    var oracle: any ScalarModel

    /// A model that has room for what the method puts into the sequences.
    init(_ method: MethodCase, dropout: Double = 0) throws {
        try self.init(
            method.family, tied: method.tied, dropout: dropout,
            positions: Self.positions + (method.prompt?.positionCount ?? 0))
        guard let prompt = method.prompt else { return }
        (oracle.prompt.leadingCount, oracle.prompt.prefixCount) = (prompt.leading, prompt.prefix)
        oracle.prompt.derive = prompt.derive
    }

    init(
        _ family: SmallFamily = .gpt2, tied: Bool = true, dropout: Double = 0, positions: Int = Self.positions
    ) throws {
        let configuration = family.configuration(tied: tied, positions: positions, dropout: dropout)
        model = try family.architecture.init(configuration: section(configuration), source: RandomParameters(seed: 1))
        oracle = family.oracle()
        for (index, parameter) in model.parameters.enumerated() {
            let isNormWeight =
                parameter.name.contains(/ln_|norm/) && parameter.name.hasSuffix("weight")
            let values = noise(parameter.count, seed: UInt64(index + 1), scale: 0.6).map { isNormWeight ? 1 + $0 : $0 }
            let tensor = Tensor(values, shape: parameter.shape)
            tensor.track()
            parameter.tensor = tensor
        }
    }

    /// Three sequences, one of a single token and one of the greatest length, with labels on some rows.
    static let sequences: [(tokens: [Int32], labels: [Int32])] = [
        ([3, 1, 4, 1], [-1, -1, 1, 5]), ([9], [2]), ([6, 5, 3, 5, 8, 10, 9], [-1, 7, -1, -1, 3, 0, 10]),
    ]

    var batch: TokenBatch {
        var batch = TokenBatch(sequences: Self.sequences.map(\.tokens))
        batch.labels = Self.sequences.flatMap(\.labels)
        if model.hasEncoder { batch.source = SourceRows(Self.sequences.map { ScalarT5.source(of: $0.tokens) }) }
        return batch
    }

    var logits: [Float] { model.logits(batch, rows: nil, .inference()).values }
    var values: [String: [Float]] {
        Dictionary(uniqueKeysWithValues: model.parameters.map { ($0.name, $0.tensor.values) })
    }

    /// The loss of the batch, its gradients left on the tensors.
    @discardableResult
    func lossWithGradients(_ trainable: [TrainableParameter], _ context: ForwardContext = .inference()) -> Double {
        for parameter in trainable { parameter.tensor.clearGradient() }
        let loss = model.loss(batch, scale: 1, context)
        loss.tensor.backward()
        return loss.sum
    }

    func install(
        _ method: any PEFTMethod.Type, _ settings: String, isTraining: Bool = true, seed: UInt64 = 7
    ) throws -> any Installation {
        var context = InstallationContext(seed: seed, basePath: "base", isTraining: isTraining)
        context.encode = { $0.utf8.map { Int32($0) % Int32(Self.vocabulary) } }
        return try make(method, section(settings)).install(into: model, context)
    }
}

/// A configuration's section from JSON, whose problems have no file and stand in one line.
func section(_ text: String) throws -> ConfigSection {
    try ConfigDocument(json: JSONNode.parse(text.replacing("\n", with: ""))).root
}

func make<Method: PEFTMethod>(_ type: Method.Type, _ section: ConfigSection) throws -> any PEFTMethod {
    try type.init(section, startingFrom: nil)
}

/// Moves everything that trains, as a finished training has; LoRA's B isn't 0 any more.
func randomise(_ installation: any Installation) {
    for (index, parameter) in installation.trainable.enumerated() {
        for (i, value) in noise(parameter.tensor.count, seed: UInt64(100 + index), scale: 0.3).enumerated() {
            parameter.tensor.data[i] += value
        }
    }
}

/// The largest difference relative to the largest number expected.
func relativeDifference(_ found: [Float], _ expected: [Float]) -> Float {
    guard found.count == expected.count else { return .infinity }
    let largest = expected.reduce(0) { max($0, $1.magnitude) }
    let difference = zip(found, expected).reduce(Float(0)) { max($0, ($1.0 - $1.1).magnitude) }
    return largest > 0 && difference.isFinite ? difference / largest : (difference == 0 ? 0 : .infinity)
}

/// Whether both hold the same objects.
func areIdentical(_ a: [Tensor], _ b: [Tensor]) -> Bool { a.count == b.count && zip(a, b).allSatisfy { $0 === $1 } }
