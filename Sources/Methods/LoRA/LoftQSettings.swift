import Configuration
import Diagnostics
import JSONText
import Layers
import Tensors

/// How weights become Q + B A, few bits and a pair that makes up for what they lose (LoftQ, Li et al. 2023, algorithm 1).
struct LoftQSettings: Equatable {
    var bits: Int
    /// T
    var iterations: Int
    /// What weights are quantized to; nil as long as that is left to the base, and to `bits` where it is in floats.
    var quantization: Quantization?
    /// Whether weights that are stored as their transposes are quantized as what they are, which peft doesn't know of.
    var knowsTransposes: Bool

    private static let key = "loftq_config"
    private static let mostIterations = 1000

    /// Reads `loftq_config` of a run, or of an `adapter_config.json`, where it may say more than peft writes.
    init(_ section: ConfigSection, defaults: LoftQSettings?) {
        let own = section.section(Self.key)
        let isFile = section.isAdapterFile
        bits = own.int("loftq_bits", default: defaults?.bits ?? 4)
        if ![4, 8].contains(bits) { own.record("must be 4 (nf4) or 8 (int8), got \(bits)", at: "loftq_bits") }
        iterations = own.int("loftq_iter", default: defaults?.iterations ?? 1, in: 1...Self.mostIterations)
        guard isFile else {
            (quantization, knowsTransposes) = (defaults?.quantization, defaults?.knowsTransposes ?? true)
            return
        }
        for name in ["loftq_bits", "loftq_iter"] where !own.has(name) {
            own.record("missing: the base's weights are made anew by it", at: name)
        }
        let formats = [Quantization.Format.nf4, .fp4].map(\.rawValue)
        let format = own.choice("bnb_4bit_quant_type", of: formats, default: Quantization.Format.nf4.rawValue)
        let blockSize = own.int("bnb_4bit_blocksize", default: 64)
        if !Quantization.blockSizes.contains(blockSize) {
            let sizes = Quantization.blockSizes.map(String.init).joined(separator: ", ")
            own.record("blocks have one of \(sizes) elements, got \(blockSize)", at: "bnb_4bit_blocksize")
        }
        let isDouble = own.bool("bnb_4bit_use_double_quant", default: false)
        quantization =
            bits == 8
            ? Quantization(.int8)
            : Quantization(Quantization.Format(rawValue: format) ?? .nf4, blockSize: blockSize, isDouble: isDouble)
        knowsTransposes = own.bool("fan_in_fan_out", default: false)
    }

    /// What peft quantizes to.
    private var plain: Quantization { Quantization(bits == 8 ? .int8 : .nf4) }

    var kind: Quantization { quantization ?? plain }

    /// `loftq_config` of `adapter_config.json`: as peft writes it, and beside that what peft has no words for.
    var json: JSONValue {
        var members: [JSONValue.Member] = []
        if kind != plain {
            members += [
                .init("bnb_4bit_blocksize", .integer(kind.blockSize)),
                .init("bnb_4bit_quant_type", .string(kind.format.rawValue)),
                .init("bnb_4bit_use_double_quant", .boolean(kind.isDouble)),
            ]
        }
        if knowsTransposes { members.append(.init("fan_in_fan_out", true)) }
        return .object(members + [.init("loftq_bits", .integer(bits)), .init("loftq_iter", .integer(iterations))])
    }

    /// Why peft computes another base than the adapter was trained on.
    var formObstacle: String? {
        if knowsTransposes {
            return
                "peft takes weights that are stored as inputs × outputs for their transposes where it begins by loftq; only "
                + "this tool loads the adapter"
        }
        if kind == plain { return nil }
        return
            "peft computes the base's weights anew in nf4, in blocks of 64 with scales of 32 bits, and this adapter was "
            + "trained on \(kind.format.rawValue) in blocks of \(kind.blockSize)"
            + (kind.isDouble ? " with double quantization" : "") + "; only this tool loads it as it was trained"
    }

    func reportDifferences(from start: LoftQSettings, _ section: ConfigSection) {
        let own = section.section(Self.key)
        own.compare("loftq_bits", bits, with: start.bits)
        own.compare("loftq_iter", iterations, with: start.iterations)
    }

    /// The same for the layers of `pairs`: the base's own kind of quantization where it has one and no file says another.
    ///
    /// - Throws: `Problems` where the base's floats are gone, or it is kept in another number of bits.
    func resolved(for pairs: [LoRAPair], _ section: ConfigSection) throws(Problems) -> LoftQSettings {
        var kinds: [Quantization] = []
        for pair in pairs {
            guard let quantized = pair.original as? QuantizedTensor else { continue }
            if quantized.source == nil {
                throw Problems([
                    section.problem(
                        "'loftq' begins with the floats of \(pair.linear.path), of which the base has nothing but "
                            + "\(quantized.quantization.bitsPerElement)-bit codes: give the model as it was before, with "
                            + "load_in_4bit or load_in_8bit", at: "init_lora_weights")
                ])
            }
            if !kinds.contains(quantized.quantization) { kinds.append(quantized.quantization) }
        }
        var settings = self
        settings.knowsTransposes = pairs.contains { $0.linear.isInputByOutput }
        guard quantization == nil, let kind = kinds.first else {
            settings.quantization = self.kind
            return settings
        }
        if kind.bitsPerElement != bits {
            throw Problems([
                section.section(Self.key).problem(
                    "is \(bits), and the base is kept in \(kind.bitsPerElement) bits: set it to \(kind.bitsPerElement)",
                    at: "loftq_bits")
            ])
        }
        if kinds.count > 1 {
            throw Problems([
                section.problem("'loftq' needs a base whose layers are all quantized alike", at: "init_lora_weights")
            ])
        }
        settings.quantization = kind
        return settings
    }
}
