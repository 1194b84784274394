import Diagnostics
import JSONText
public import Tensors

/// Weights as bitsandbytes 0.50 leaves them in a folder: beside codes in the place of a linear layer's weight lie the
/// tensors and the text that tell what they mean.
extension ModelWeights {
    private static let weight = QuantizedNames.weight

    /// The names of tensors that only tell what the codes of others mean.
    public var quantizationNames: Set<String> { Set(quantizedNames.keys) }

    /// By the names of tensors that only tell what codes mean, the names of the weights whose codes those are.
    public var quantizedNames: [String: String] {
        var names: [String: String] = [:]
        for tensor in tensors where isQuantized(tensor.name) {
            for name in QuantizedNames.companions(of: tensor.name) where entry(named: name) != nil {
                names[name] = tensor.name
            }
        }
        return names
    }

    /// Whether the tensor `name` holds codes.
    public func isQuantized(_ name: String) -> Bool { QuantizedNames.areCodes(name) { entry(named: $0) != nil } }

    private func stateName(of name: String) -> String? {
        QuantizedNames.states(of: name).first { entry(named: $0) != nil }
    }

    /// The quantized weight `name` of a linear layer; nil where it holds plain numbers.
    ///
    /// - Throws: `Problem` where something that belongs to it is missing, broken or of another size.
    public func quantized(
        named name: String, outputs: Int, inputs: Int, isInputByOutput: Bool
    ) throws -> QuantizedTensor? {
        guard isQuantized(name) else { return nil }
        let codes = try raw(named: name)
        if codes.elementType == .signed8 || entry(named: name.dropLast(Self.weight.count) + ".SCB") != nil {
            return try eightBit(codes, outputs: outputs, inputs: inputs, isInputByOutput: isInputByOutput)
        }
        return try fourBit(codes, outputs: outputs, inputs: inputs, isInputByOutput: isInputByOutput)
    }

    private func eightBit(
        _ codes: RawTensor, outputs: Int, inputs: Int, isInputByOutput: Bool
    ) throws -> QuantizedTensor {
        let layer = String(codes.name.dropLast(Self.weight.count))
        guard codes.elementType == .signed8, codes.shape == [outputs, inputs] else {
            throw Problem(
                "holds \(codes.elementType) \(codes.shape), but beside SCB there must be 8-bit codes (I8) of shape "
                    + "\([outputs, inputs])", file: codes.file, key: codes.name)
        }
        if entry(named: layer + ".weight_format") != nil {
            let format = try raw(named: layer + ".weight_format")
            guard try format.integers() == [0] else {
                throw Problem(
                    "says that the codes lie in tiles of a GPU's; only rows (0) are read here: save the model again with "
                        + "a newer bitsandbytes", file: format.file, key: format.name)
            }
        }
        let scales = try floats(layer + ".SCB", count: outputs, for: "outputs", of: codes)
        return QuantizedTensor(
            codes.bytes, .floats(scales), Quantization(.int8), outputs: outputs, inputs: inputs,
            isInputByOutput: isInputByOutput, originalType: "float16")
    }

    private func fourBit(
        _ codes: RawTensor, outputs: Int, inputs: Int, isInputByOutput: Bool
    ) throws -> QuantizedTensor {
        let name = codes.name
        guard let stateName = stateName(of: name) else {
            throw missing(QuantizedNames.states(of: name)[0], of: codes)
        }
        let state = try QuantizationState(try raw(named: stateName))
        guard state.shape == [outputs, inputs] else {
            throw Problem(
                "is a weight of shape \(state.shape), but the configuration asks for \([outputs, inputs])",
                file: codes.file, key: stateName)
        }
        guard let count = Int.product(of: [outputs, inputs]) else {
            throw Problem("the shape \(state.shape) is too large", file: codes.file, key: stateName)
        }
        let byteCount = QuantizedTensor.byteCount(state.quantization, count)
        if codes.bytes.count != byteCount {
            throw Problem(
                "holds \(codes.bytes.count) bytes, and the 4-bit codes of \(state.shape) take \(byteCount)",
                file: codes.file, key: name)
        }
        let blocks = QuantizedTensor.blockCount(state.quantization, count)
        let what = "blocks of \(state.quantization.blockSize)"
        let scales: QuantizedScales
        if let offset = state.offset {
            let nested = try self.raw(named: existing(name + ".absmax", of: codes))
            guard nested.elementType == .unsigned8 else {
                throw Problem(
                    "holds \(nested.elementType), but the quantization state says that scales are nested (U8)",
                    file: nested.file, key: nested.name)
            }
            if nested.count != blocks { throw wrongCount(nested, blocks, what) }
            scales = .nested(
                codes: nested.bytes.map { $0 },
                scales: try floats(
                    name + ".nested_absmax", count: (blocks + 255) / 256, for: "groups of 256 scales", of: codes),
                map: try floats(name + ".nested_quant_map", count: 256, for: "codes", of: codes), offset: offset)
        } else {
            scales = .floats(try floats(name + ".absmax", count: blocks, for: what, of: codes))
        }
        var quantization = state.quantization
        quantization.isDouble = state.offset != nil
        return QuantizedTensor(
            codes.bytes, scales, quantization, outputs: outputs, inputs: inputs, isInputByOutput: isInputByOutput,
            originalType: state.dataType)
    }

    private func existing(_ name: String, of codes: RawTensor) throws -> String {
        if entry(named: name) == nil { throw missing(name, of: codes) }
        return name
    }

    private func missing(_ name: String, of codes: RawTensor) -> Problem {
        Problem("is missing, without which the codes in \(codes.name) mean nothing", file: codes.file, key: name)
    }

    private func wrongCount(_ raw: RawTensor, _ count: Int, _ what: String) -> Problem {
        Problem("holds \(raw.count) numbers for \(count) \(what)", file: raw.file, key: raw.name)
    }

    private func floats(_ name: String, count: Int, for what: String, of codes: RawTensor? = nil) throws -> [Float] {
        let raw = try self.raw(named: codes.map { try existing(name, of: $0) } ?? name)
        if raw.count != count { throw wrongCount(raw, count, what) }
        try raw.requireFinite()
        return try raw.tensor().values
    }
}

/// The text beside 4-bit codes.
struct QuantizationState {
    var quantization: Quantization
    let dataType: String
    let shape: [Int]
    /// Of nested scales; nil where they are floats.
    let offset: Float?

    private static let keys: Set = [
        "quant_type", "blocksize", "dtype", "shape", "nested_blocksize", "nested_dtype", "nested_offset",
    ]

    init(_ raw: RawTensor) throws {
        func problem(_ message: String) -> Problem {
            Problem("isn't a quantization state of bitsandbytes: \(message)", file: raw.file, key: raw.name)
        }
        do {
            let node = try JSONNode.parse(raw.bytes)
            if let member = try node.asObject().first(where: { !Self.keys.contains($0.key) }) {
                throw problem("the key '\(member.key)' isn't known")
            }
            let type = try node.string("quant_type")
            guard let format = Quantization.Format(rawValue: type), format != .int8 else {
                throw problem("the type '\(type)' is neither 'nf4' nor 'fp4'")
            }
            let blockSize = try node.integer("blocksize")
            guard Quantization.blockSizes.contains(blockSize) else {
                throw problem("blocks of \(blockSize); there are \(Quantization.blockSizes)")
            }
            quantization = Quantization(format, blockSize: blockSize)
            dataType = try node.string("dtype")
            guard ["float32", "float16", "bfloat16"].contains(dataType) else {
                throw problem("a weight of type '\(dataType)'")
            }
            shape = try node.array("shape").map { try $0.asInteger() }
            if let nested = try node.optionalInteger("nested_blocksize") {
                guard nested == 256 else { throw problem("groups of \(nested) scales; there are groups of 256") }
                let value = Float(try node.number("nested_offset"))
                guard value.isFinite else { throw problem("the offset \(value)") }
                offset = value
            } else {
                offset = nil
            }
        } catch let found as Problem where found.file == nil {
            throw problem(found.key.map { "\($0): \(found.message)" } ?? found.message)
        }
    }
}
