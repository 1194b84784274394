import Checkpoints
import Diagnostics
import Layers
import Models
import Tensors

/// Takes a model's tensors from another source and keeps the weights of linear layers in fewer bits, one after the other,
/// so that their floats are never in memory together.
final class QuantizingParameters: ParameterSource {
    private let source: any ParameterSource
    private let settings: QuantizationSettings
    private let skipped: SkippedModules
    private let kept: SkippedModules
    private let heads: Set<String>

    init(
        _ source: any ParameterSource, _ settings: QuantizationSettings, _ architecture: any Architecture.Type
    ) throws(Problem) {
        self.source = source
        self.settings = settings
        skipped = try SkippedModules(settings.skippedModules)
        kept = try SkippedModules(architecture.unquantizedModules)
        heads = [architecture.headPath, architecture.taskHeadPath]
    }

    var names: [String] { source.names }
    var seed: UInt64 { source.seed }
    var location: String? { source.location }
    func storedName(_ name: String) -> String { source.storedName(name) }
    var warnings: [Problem] {
        get { source.warnings }
        set { source.warnings = newValue }
    }

    func tensor(named name: String, shape: [Int], _ initializer: Initializer) throws -> (any StoredTensor)? {
        try source.tensor(named: name, shape: shape, initializer)
    }

    func linearWeight(
        named name: String, shape: [Int], isInputByOutput: Bool, _ initializer: Initializer
    ) throws -> (any StoredTensor)? {
        let found = try source.linearWeight(
            named: name, shape: shape, isInputByOutput: isInputByOutput, initializer)
        guard let value = found, value.shape == shape else { return found }
        let path = String(name.dropLast(".weight".count))
        if kept.contains(path, isHead: false) || skipped.contains(path, isHead: heads.contains(path)) { return value }
        if let quantized = value as? QuantizedTensor {
            guard quantized.quantization == settings.quantization else {
                throw Problem(
                    "is quantized already, as \(QuantizationSettings(quantized.quantization).description) and not as "
                        + "\(settings.description): leave that out, or take the model before it was quantized",
                    file: source.location, key: source.storedName(name))
            }
            return quantized
        }
        do {
            let quantized = try QuantizedTensor.quantizing(
                value, isInputByOutput: isInputByOutput, settings.quantization,
                originalType: (value as? HalfTensor)?.format.name ?? "float32")
            value.releasePages()
            return quantized
        } catch {
            throw nonFiniteProblem(error, in: source.storedName(name), file: source.location)
        }
    }
}

extension HalfFormat {
    /// As torch calls it.
    var name: String {
        switch self {
        case .bfloat16: "bfloat16"
        case .float16: "float16"
        }
    }
}
