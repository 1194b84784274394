import Diagnostics
import JSONText
public import Tensors

extension OutgoingTensor {
    /// The codes of the weight `name` and what tells their meaning, as bitsandbytes 0.50 writes them.
    ///
    /// - Parameter name: Ends in `.weight`.
    public static func quantized(_ name: String, _ tensor: QuantizedTensor) -> [OutgoingTensor] {
        let kind = tensor.quantization
        let layer = name.dropLast(".weight".count)
        let shape = [tensor.outputSize, tensor.inputSize]
        if kind.format == .int8 {
            return [
                OutgoingTensor(name, shape: shape, as: .signed8) { tensor.codesByRows() },
                floats(layer + ".SCB", count: tensor.outputSize) { tensor.scales.values },
                // The codes lie by rows.
                OutgoingTensor(layer + ".weight_format", shape: [], as: .unsigned8) { [0] },
            ]
        }
        guard let values = kind.format.values else { defect("OutgoingTensor: \(kind.format) without values") }
        let count = QuantizedTensor.byteCount(kind, shape[0] * shape[1])
        let blocks = QuantizedTensor.blockCount(kind, shape[0] * shape[1])
        let state = state(of: tensor)
        var tensors = [
            OutgoingTensor(name, shape: [count, 1], as: .unsigned8) { tensor.codesByRows() },
            floats(name + ".quant_map", count: values.count) { values },
            OutgoingTensor(
                name + ".quant_state.bitsandbytes__\(kind.format.rawValue)", shape: [state.count], as: .unsigned8
            ) { state },
        ]
        guard case .nested(_, let nested, let map, _) = tensor.scales else {
            return tensors + [floats(name + ".absmax", count: blocks) { tensor.scales.values }]
        }
        tensors += [
            OutgoingTensor(name + ".absmax", shape: [blocks], as: .unsigned8) {
                guard case .nested(let codes, _, _, _) = tensor.scales else { return [] }
                return codes
            },
            floats(name + ".nested_absmax", count: nested.count) { nested },
            floats(name + ".nested_quant_map", count: map.count) { map },
        ]
        return tensors
    }

    private static func floats(_ name: String, count: Int, _ values: @escaping () -> [Float]) -> OutgoingTensor {
        OutgoingTensor(name, shape: [count], as: .float32) { Tensor(values(), shape: [count]) }
    }

    /// The text beside 4-bit codes, to the byte.
    private static func state(of tensor: QuantizedTensor) -> [UInt8] {
        var members: [JSONValue.Member] = [
            .init("quant_type", .string(tensor.quantization.format.rawValue)),
            .init("blocksize", .integer(tensor.quantization.blockSize)),
            .init("dtype", .string(tensor.originalType)),
            .init("shape", [.integer(tensor.outputSize), .integer(tensor.inputSize)]),
        ]
        if case .nested(_, _, _, let offset) = tensor.scales {
            members += [
                .init("nested_blocksize", 256), .init("nested_dtype", "float32"),
                .init("nested_offset", .number(Double(offset))),
            ]
        }
        return JSONValue.object(members).bytes(.compact)
    }
}
