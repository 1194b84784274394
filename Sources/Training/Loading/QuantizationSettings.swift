public import Configuration
import Diagnostics
import JSONText
import Layers
import Patterns
public import Tensors

/// How the linear layers of a base are to be kept in fewer bits, under the names of transformers' `BitsAndBytesConfig`.
public struct QuantizationSettings: Sendable, Hashable {
    public var quantization: Quantization
    /// `llm_int8_skip_modules`, patterns of modules that stay as they are; nil for the default, the output layer.
    public var skippedModules: [String]?

    public init(_ quantization: Quantization, skippedModules: [String]? = nil) {
        self.quantization = quantization
        self.skippedModules = skippedModules
    }

    /// Reads the section `model` of a run; nil where nothing is to be quantized.
    init?(_ section: ConfigSection) {
        let (four, eight) = (
            section.bool("load_in_4bit", default: false), section.bool("load_in_8bit", default: false)
        )
        if four && eight {
            section.record("load_in_4bit and load_in_8bit are both true, and only one can be", at: "load_in_8bit")
        }
        let formats = [Quantization.Format.nf4, .fp4].map(\.rawValue)
        let type = section.choice("bnb_4bit_quant_type", of: formats, default: Quantization.Format.nf4.rawValue)
        let isDouble = section.bool("bnb_4bit_use_double_quant", default: false)
        let blockSize = section.int("bnb_4bit_blocksize", default: 64)
        if !Quantization.blockSizes.contains(blockSize) {
            let sizes = Quantization.blockSizes.map(String.init).joined(separator: ", ")
            section.record("blocks have one of \(sizes) elements, got \(blockSize)", at: "bnb_4bit_blocksize")
        }
        // The defaults stand in every run's own configuration.
        let changes = [
            ("bnb_4bit_quant_type", type != Quantization.Format.nf4.rawValue), ("bnb_4bit_use_double_quant", isDouble),
            ("bnb_4bit_blocksize", blockSize != 64),
        ]
        for (key, isChanged) in changes where !four && isChanged {
            section.record("does nothing without load_in_4bit: true", at: key)
        }
        skippedModules = section.optionalStrings("llm_int8_skip_modules")
        if !four && !eight {
            if skippedModules != nil {
                section.record("does nothing without load_in_4bit or load_in_8bit", at: "llm_int8_skip_modules")
            }
            return nil
        }
        do {
            _ = try SkippedModules(skippedModules)
        } catch {
            section.record(error.message, at: "llm_int8_skip_modules")
        }
        quantization =
            eight
            ? Quantization(.int8)
            : Quantization(
                Quantization.Format(rawValue: type) ?? .nf4, blockSize: blockSize, isDouble: isDouble)
    }

    /// What a run's configuration says; nil where nothing is to be quantized.
    public init?(of document: ConfigDocument) throws {
        let section = document.root.section("model")
        let settings = QuantizationSettings(section)
        try document.root.throwProblems()
        guard let settings else { return nil }
        self = settings
    }

    /// `nf4, double`
    public var description: String {
        var parts = [quantization.format.rawValue]
        if quantization.format != .int8, quantization.blockSize != 64 {
            parts.append("blocks of \(quantization.blockSize)")
        }
        if quantization.isDouble { parts.append("double") }
        return parts.joined(separator: ", ")
    }

    /// `quantization_config` of `config.json` as transformers 5.24 writes it.
    var json: JSONValue {
        let isFour = quantization.format != .int8
        return [
            "_load_in_4bit": .boolean(isFour), "_load_in_8bit": .boolean(!isFour),
            "bnb_4bit_compute_dtype": "float32", "bnb_4bit_quant_storage": "uint8",
            "bnb_4bit_quant_type": .string(isFour ? quantization.format.rawValue : "fp4"),
            "bnb_4bit_use_double_quant": .boolean(quantization.isDouble),
            "llm_int8_enable_fp32_cpu_offload": false, "llm_int8_has_fp16_weight": false,
            "llm_int8_skip_modules": skippedModules.map { .array($0.map(JSONValue.string)) } ?? .null,
            "llm_int8_threshold": 6.0, "load_in_4bit": .boolean(isFour), "load_in_8bit": .boolean(!isFour),
            "quant_method": "bitsandbytes",
        ]
    }
}

/// Which modules transformers doesn't quantize.
struct SkippedModules {
    private let patterns: [(text: String, pattern: Pattern)]?

    /// - Parameter patterns: nil for the default.
    init(_ patterns: [String]?) throws(Problem) {
        var compiled: [(String, Pattern)] = []
        for text in patterns ?? [] {
            do {
                compiled.append((text, try Pattern("(?:\(text))")))
            } catch {
                throw Problem("'\(text)' isn't a pattern that can be read: \(error)")
            }
        }
        self.patterns = patterns == nil ? nil : compiled
    }

    /// Whether the linear layer stays as it is: its path begins with a match of a pattern that ends beside a dot or with the
    /// path, or it ends with a pattern as that stands. A list replaces the default, so that the output layer is quantized
    /// unless it is listed.
    func contains(_ path: String, isHead: Bool) -> Bool {
        guard let patterns else { return isHead }
        let bytes = path.utf8
        let beginnings = bytes.indices.filter {
            bytes[$0] == UInt8(ascii: ".")
                || $0 > bytes.startIndex && bytes[bytes.index(before: $0)] == UInt8(ascii: ".")
        }.map { String(path[..<$0]) }
        return patterns.contains { text, pattern in
            path.hasSuffix(text) || (beginnings + [path]).contains(where: pattern.matchesWhole)
        }
    }
}
