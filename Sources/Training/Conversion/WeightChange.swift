import Configuration
import Diagnostics
import JSONText
import Layers
import Methods
import Models
import Tensors

/// How one model's parameters differ from another's, by what a LoRA adapter can hold of it.
struct WeightChange {
    /// A matrix that changed: a linear layer's weight or a table.
    struct Matrix {
        let path: String
        /// Whether A and B have an embedding's names.
        let isEmbedding: Bool
        /// Δ [outputs, inputs], or its transpose.
        let change: Tensor
        let isTransposed: Bool
        /// Whether the weight itself changed, rather than the bias beside it alone.
        var isChanged = true
    }

    /// The pair that is nearest to a change.
    struct Factors {
        let matrix: Matrix
        let a: Tensor
        let b: Tensor
        let squaredError: Double
        let squaredNorm: Double
    }

    private let matrices: [Matrix]
    private let biases: [String: Tensor]
    /// Modules that changed in what is no matrix, such as norms.
    private let wholes: [String]
    private let tensors: [String: Tensor]

    /// - Throws: `Problem` where nothing changed.
    init(from base: any LanguageModel, to tuned: any LanguageModel, _ settings: ConversionSettings) throws {
        let values = Dictionary(
            tuned.parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        func after(_ parameter: Parameter, at path: String) -> Tensor {
            // A head that shared the table before may have its own weight now.
            if path == base.outputLayerPath, let own = values[path + ".weight"] { return own }
            return values[parameter.name] ?? parameter.tensor
        }
        var matrices: [Matrix] = []
        var biases: [String: Tensor] = [:]
        var wholes: [String] = []
        for module in base.modules {
            switch module.kind {
            case .linear(let linear):
                let weight = Self.difference(after(linear.weight, at: linear.path), linear.weight.tensor)
                if let bias = linear.bias, let changed = values[bias.name], changed.values != bias.tensor.values {
                    biases[linear.path] = changed
                }
                guard weight != nil || biases[linear.path] != nil else { continue }
                matrices.append(
                    Matrix(
                        path: linear.path, isEmbedding: false, change: weight ?? Tensor(zeros: linear.weight.shape),
                        isTransposed: linear.isInputByOutput, isChanged: weight != nil))
            case .embedding(let embedding):
                guard let change = Self.difference(after(embedding.weight, at: embedding.path), embedding.weight.tensor)
                else { continue }
                if let obstacle = module.obstacle {
                    throw Problem(
                        "changes \(embedding.path), which no LoRA can hold: it \(obstacle)", file: settings.source.path)
                }
                // B A is Δᵀ: a row of A for each entry of the table.
                matrices.append(
                    Matrix(path: embedding.path, isEmbedding: true, change: change, isTransposed: true))
            case .norm:
                let parameters = base.parameters(of: module.path)
                if parameters.contains(where: { values[$0.name]?.values != $0.tensor.values }) {
                    wholes.append(module.path)
                }
            case .container: continue
            }
        }
        if matrices.isEmpty, wholes.isEmpty {
            throw Problem(
                "changes nothing of '\(settings.base)': there is nothing to convert", file: settings.source.path)
        }
        (self.matrices, self.biases, self.wholes, tensors) = (matrices, biases, wholes, values)
    }

    /// after − before; nil where there is no difference.
    private static func difference(_ after: Tensor, _ before: Tensor) -> Tensor? {
        let result = Tensor(uninitialized: before.shape)
        var differs = false
        for i in 0..<result.count {
            result.data[i] = after.data[i] - before.data[i]
            differs = differs || result.data[i] != 0
        }
        return differs ? result : nil
    }

    /// The nearest pairs of at most `rank`, all matrices on all threads.
    func factors(rank: Int, _ summary: inout ConversionSummary) -> [Factors] {
        let factors = parallelMap(matrices.count) { index in
            let matrix = matrices[index]
            let rank = min(rank, matrix.change.rowCount, matrix.change.columnCount)
            let (left, values, right) = leadingSingularVectors(
                matrix.change, isTransposed: matrix.isTransposed, count: rank)
            for k in 0..<rank {
                let factor = Float(values[k].squareRoot())
                for i in 0..<left.rowCount { left.data[i * rank + k] *= factor }
                for j in 0..<right.columnCount { right.data[k * right.columnCount + j] *= factor }
            }
            // What is left is measured rather than taken from the values, which cancel where it is small.
            let rest = matrix.change.copy()
            if matrix.isTransposed {
                addProduct(right, transposingFirst: true, left, transposingSecond: true, scale: -1, to: rest)
            } else {
                addProduct(left, transposingFirst: false, right, transposingSecond: false, scale: -1, to: rest)
            }
            return Factors(
                matrix: matrix, a: right, b: left, squaredError: sumOfSquares(rest),
                squaredNorm: sumOfSquares(matrix.change))
        }
        for factor in factors where factor.matrix.isChanged {
            summary.modules.append(
                ConversionSummary.Module(
                    path: factor.matrix.path, rank: factor.a.rowCount,
                    error: (factor.squaredError / factor.squaredNorm).squareRoot()))
        }
        let norm = factors.reduce(0) { $0 + $1.squaredNorm }
        summary.error = norm == 0 ? 0 : (factors.reduce(0) { $0 + $1.squaredError } / norm).squareRoot()
        summary.wholes = wholes
        return factors
    }

    /// Puts an adapter with these pairs into the base.
    func install(
        _ factors: [Factors], into base: BaseModel, _ settings: ConversionSettings, _ summary: inout ConversionSummary
    ) throws -> any Installation {
        let targets: JSONValue =
            factors.isEmpty ? "dummy-target-modules" : .array(factors.map { .string($0.matrix.path) })
        // Alpha and rank are equal, so that nothing is scaled.
        let smaller = factors.filter { $0.a.rowCount != settings.rank }.map { factor in
            JSONValue.Member("^" + factor.matrix.path.replacing(".", with: "\\."), .integer(factor.a.rowCount))
        }
        let configuration = JSONValue.object([
            .init("peft_type", "LORA"), .init("r", .integer(settings.rank)),
            .init("lora_alpha", .integer(settings.rank)), .init("rank_pattern", .object(smaller)),
            .init("alpha_pattern", .object(smaller)), .init("target_modules", targets),
            .init("bias", biases.isEmpty ? "none" : "lora_only"),
            .init("modules_to_save", wholes.isEmpty ? nil : .array(wholes.map(JSONValue.string))),
        ])
        let method = try LoRA(
            ConfigDocument(json: JSONNode.parse(configuration.text(.compact))).root, startingFrom: nil)
        let installation = try method.install(
            into: base.model,
            InstallationContext(seed: 0, basePath: absolutePath(ofModel: settings.base), isTraining: false))
        var contents: [String: Tensor] = [:]
        for factor in factors {
            let path = factor.matrix.path
            let isEmbedding = factor.matrix.isEmbedding
            contents[path + (isEmbedding ? ".lora_embedding_A" : ".lora_A.weight")] = factor.a
            contents[path + (isEmbedding ? ".lora_embedding_B" : ".lora_B.weight")] = factor.b
            // A layer that is in the file for its weight alone keeps its bias, which lies there too.
            if !biases.isEmpty, !isEmbedding,
                let own = base.model.parameters.first(where: { $0.name == path + ".bias" })
            {
                contents[path + ".base_layer.bias"] = biases[path] ?? own.tensor
            }
        }
        for path in wholes {
            for parameter in base.model.parameters(of: path) {
                contents[parameter.name] = tensors[parameter.name] ?? parameter.tensor
            }
        }
        try installation.load(contents, file: settings.source.path)
        return installation
    }
}
