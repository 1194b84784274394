import Checkpoints
import FoundationEssentials
import JSONText
import Tensors
import TestSupport
import Testing

/// Codes that bitsandbytes made, see `scripts/fixtures/quantized.py`.
@Suite("Weights in 4 or 8 bits") struct QuantizedWeightsTests {
    private static let folder = fixture("quantized").path(percentEncoded: false) + "/"

    private func file() throws -> SafetensorsFile {
        try SafetensorsFile(path: Self.folder + "codes.safetensors", warn: { _ in })
    }

    static let cases: [String] = (try? JSONNode.load(path: folder + "codes.json").asObject().map(\.key)) ?? []

    @Test("are there") func list() { #expect(Self.cases.count == 15) }

    @Test("get the codes, constants and values of bitsandbytes, to the bit", arguments: cases)
    func codes(name: String) throws {
        let (file, node) = (try file(), try JSONNode.load(path: Self.folder + "codes.json").required(name))
        let format = try #require(try Quantization.Format(rawValue: node.string("quant_type")))
        let kind = Quantization(format, blockSize: try node.integer("blocksize"))
        let source = try file.raw(named: node.string("source") + ".source")
        let values: Tensor =
            if source.elementType.isFloatingPoint { try source.tensor() } else {
                Tensor(try source.integers().map { Float($0) }, shape: source.shape)
            }
        let (outputs, inputs) = (values.shape[0], values.count / max(1, values.shape[0]))
        let tensor = try QuantizedTensor.quantizing(
            Tensor(values.values, shape: [outputs, inputs]), isInputByOutput: false, kind, originalType: "float32")
        #expect(try tensor.codesByRows() == file.raw(named: name + ".weight").bytes.map { $0 })
        let weight = name + ".weight."
        let isDouble = try node.boolean("double")
        if !isDouble {
            #expect(try tensor.scales.values == file.tensor(named: weight + "absmax").values)
            #expect(try tensor.floats.values == file.tensor(named: name + ".dequantised").values)
            return
        }
        let state = try JSONNode.parse(file.raw(named: weight + "quant_state.bitsandbytes__\(format)").bytes)
        let nested = QuantizedScales.nesting(
            tensor.scales.values, offset: Float(try state.number("nested_offset")))
        guard case .nested(let codes, let scales, let map, _) = nested else { return }
        #expect(try codes == file.raw(named: weight + "absmax").bytes.map { $0 })
        #expect(try scales == file.tensor(named: weight + "nested_absmax").values)
        #expect(try map == file.tensor(named: weight + "nested_quant_map").values)
        if file.tensors.contains(where: { $0.name == name + ".absmaxes" }) {
            #expect(try nested.values == file.tensor(named: name + ".absmaxes").values)
        } else {
            let whole = tensor.codesByRows().withUnsafeBytes {
                QuantizedTensor(
                    $0, nested, Quantization(format, blockSize: kind.blockSize, isDouble: true), outputs: outputs,
                    inputs: inputs, isInputByOutput: false, originalType: "float32")
            }
            #expect(try whole.floats.values == file.tensor(named: name + ".dequantised").values)
        }
    }

    @Test("get constants' codes by bitsandbytes' table, where another may be nearer") func nested() throws {
        let file = try file()
        let nested = QuantizedScales.nesting(try file.tensor(named: "nested.source").values, offset: 0)
        guard case .nested(let codes, let scales, let map, _) = nested else { return }
        #expect(try codes == file.raw(named: "nested.weight").bytes.map { $0 })
        #expect(try scales == file.tensor(named: "nested.absmax").values)
        #expect(try map == file.tensor(named: "nested.map").values)
    }

    @Test("of 8 bits go by way of 16-bit floats", arguments: [0, 1]) func rows(index: Int) throws {
        let (file, name) = (try file(), "int8/\(index)")
        let source = try file.raw(named: name + ".source").tensor()
        let tensor = try QuantizedTensor.quantizing(
            source, isInputByOutput: false, Quantization(.int8), originalType: "float32")
        #expect(try tensor.codesByRows() == file.raw(named: name + ".weight").bytes.map { $0 })
        #expect(try tensor.scales.values == file.tensor(named: name + ".SCB").values)
        #expect(try tensor.floats.values == file.tensor(named: name + ".dequantised").values)
    }
}
