import Checkpoints
import Configuration
import Diagnostics
import Files
import JSONText
import Layers
import Models
import Tensors

/// The member of `config.json` that says how a model is quantized.
let quantizationKey = "quantization_config"

extension BaseModel {
    /// The weights that the model has in 4 or 8 bits, by their parameters' names.
    var quantizedWeights: [(name: String, value: QuantizedTensor)] {
        model.parameters.compactMap { parameter in
            (parameter.value as? QuantizedTensor).map { (parameter.name, $0) }
        }
    }

    /// How the folder keeps its linear layers in fewer bits, `nf4, double`; nil where it doesn't.
    var storedQuantization: String? {
        guard let weights, weights.tensors.contains(where: { weights.isQuantized($0.name) }) else { return nil }
        return quantizedWeights.first.map { QuantizationSettings($0.value.quantization).description }
    }

    /// What weights in 4 or 8 bits were before, by their parameters' names.
    func typesBeforeQuantization() throws -> [String: ElementType] {
        let names = ["float32": ElementType.float32, "float16": .float16, "bfloat16": .bfloat16]
        let configuration = try JSONNode.load(path: FileSystem.join(folder, "config.json"))
        let named = try configuration.optionalString("dtype") ?? configuration.optionalString("torch_dtype")
        let whole = named.flatMap { names[$0] } ?? .float32
        return Dictionary(
            quantizedWeights.map { name, value in
                // Codes of 8 bits don't say it.
                (name, value.quantization.format == .int8 ? whole : names[value.originalType] ?? whole)
            }, uniquingKeysWith: { first, _ in first })
    }

    /// What `config.json` says of a model that was quantized here; nothing where the folder says it already.
    var quantizationFields: [JSONValue.Member] {
        guard storedQuantization == nil, var settings = quantization else { return [] }
        // transformers would look for codes in a head that a list doesn't name, even where it is tied or a task's.
        if var list = settings.skippedModules, let skipped = try? SkippedModules(list) {
            let head = model.taskHead == nil ? type(of: model).headPath : type(of: model).taskHeadPath
            let isQuantized = quantizedWeights.contains { $0.name == head + ".weight" }
            if !isQuantized, !skipped.contains(head, isHead: true) { list.append(head) }
            settings.skippedModules = list
        }
        return [.init(quantizationKey, settings.json)]
    }

    /// Quantizes parameters that others have taken the place of, as they were before.
    func requantize(_ before: [(name: String, value: QuantizedTensor)]) throws {
        let kinds = Dictionary(before, uniquingKeysWith: { first, _ in first })
        for parameter in model.parameters {
            guard let kind = kinds[parameter.name], parameter.value !== kind else { continue }
            do {
                parameter.value = try QuantizedTensor.quantizing(
                    parameter.value, isInputByOutput: kind.isInputByOutput, kind.quantization, originalType: "float32")
            } catch {
                throw nonFiniteProblem(error, in: parameter.name, file: folder)
            }
        }
    }

    /// Whether another model's weights in 4 or 8 bits are what quantizing this one's gives, and all others are the same.
    func quantizes(to other: BaseModel) throws(NonFiniteElement) -> Bool {
        guard model.computation == other.model.computation else { return false }
        let own = Dictionary(model.parameters.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        for parameter in other.model.parameters where parameter.name != other.model.taskHead?.name {
            guard let value = own[parameter.name], value.shape == parameter.shape else { return false }
            guard let codes = parameter.value as? QuantizedTensor else {
                if !value.isEqual(to: parameter.value) { return false }
                continue
            }
            let kind = Quantization(codes.quantization.format, blockSize: codes.quantization.blockSize)
            let made = try QuantizedTensor.quantizing(
                value, isInputByOutput: codes.isInputByOutput, kind, originalType: codes.originalType)
            value.releasePages()
            if made.codesByRows() != codes.codesByRows() { return false }
            switch codes.scales {
            case .floats(let scales): if made.scales.values != scales { return false }
            case .nested(let scaleCodes, let scales, _, let offset):
                // The mean that is subtracted depends on its maker's threads, so it is taken as it was.
                guard
                    case .nested(let ownCodes, let ownScales, _, _) = QuantizedScales.nesting(
                        made.scales.values, offset: offset), ownCodes == scaleCodes, ownScales == scales
                else { return false }
            }
        }
        return true
    }
}

extension AdapterFolder {
    /// How the base was kept while the adapter was trained, as the run's configuration beside it says; nil where nothing
    /// does.
    func trainedQuantization() throws -> QuantizationSettings? {
        try TrainedTemplates.document(in: path).flatMap { try QuantizationSettings(of: $0) }
    }
}
