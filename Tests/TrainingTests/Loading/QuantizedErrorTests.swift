import Checkpoints
import Configuration
import Diagnostics
import Foundation
import JSONText
import Layers
import Models
import Tensors
import TestSupport
import Testing
import Training

/// A tensor of a file, to be changed.
struct ChangeableTensor {
    var name: String
    var type: ElementType
    var shape: [Int]
    var bytes: [UInt8]

    static func all(of folder: String) throws -> [ChangeableTensor] {
        let weights = try ModelWeights(folder: folder, warn: { _ in })
        return try weights.tensors.map { entry in
            ChangeableTensor(
                name: entry.name, type: entry.elementType, shape: entry.shape,
                bytes: try weights.raw(named: entry.name).bytes.map { $0 })
        }
    }

    var outgoing: OutgoingTensor { OutgoingTensor(name, shape: shape, as: type) { [bytes] in bytes } }

    /// Replaces the text that it holds.
    mutating func setText(_ text: String) {
        bytes = Array(text.utf8)
        shape = [bytes.count]
    }

    var text: String { String(decoding: bytes, as: UTF8.self) }
}

@Suite("A broken folder in 4 or 8 bits") struct QuantizedErrorTests {
    private static let folder = fixture("quantized").path(percentEncoded: false)

    /// What loading says of a fixture with its tensors changed.
    private func problems(
        _ name: String, _ settings: QuantizationSettings? = nil, _ change: (inout [ChangeableTensor]) -> Void = { _ in }
    ) throws -> String { try problems(name, { $0 }, settings, change) }

    private func problems(
        _ name: String, _ configuration: (String) -> String, _ settings: QuantizationSettings?,
        _ change: (inout [ChangeableTensor]) -> Void
    ) throws -> String {
        let scratch = try Scratch()
        var tensors = try ChangeableTensor.all(of: "\(Self.folder)/\(name)")
        change(&tensors)
        try FileManager.default.createDirectory(atPath: scratch("m"), withIntermediateDirectories: true)
        try ModelWeights.write(tensors.map(\.outgoing), to: scratch("m"))
        let text = try String(contentsOfFile: "\(Self.folder)/\(name)/config.json", encoding: .utf8)
        try scratch.write(configuration(text), to: "m/config.json")
        var warnings: [Problem] = []
        let short = { (text: String) in text.replacing(scratch("m"), with: "m") }
        do {
            _ = try BaseModel.load(
                scratch("m"), randomSeed: nil, labels: nil, headSeed: 0, quantization: settings,
                warn: { warnings.append($0) })
            return warnings.map { short($0.description) + "\n" }.joined()
        } catch let found as Problems {
            return found.list.map { short($0.description) + "\n" }.joined()
        } catch let found as Problem {
            return short(found.description) + "\n"
        }
    }

    private static let weight = "model.layers.0.self_attn.q_proj.weight"
    private static let state = weight + ".quant_state.bitsandbytes__nf4"

    /// Changes one tensor of the Llama with nested scales.
    private func llama(_ name: String, _ change: @escaping (inout ChangeableTensor) -> Void) throws -> String {
        try problems("llama") { tensors in
            for index in tensors.indices where tensors[index].name == name { change(&tensors[index]) }
        }
    }

    private func without(_ ending: String) throws -> String {
        try problems("llama") { $0.removeAll { $0.name == Self.weight + ending } }
    }

    private func stated(_ old: String, _ new: String) throws -> String {
        try llama(Self.state) { $0.setText($0.text.replacing(old, with: new)) }
    }

    @Test("names what is missing beside codes") func missing() throws {
        let absent = { (ending: String) in
            "m/model.safetensors: error: \(Self.weight)\(ending): is missing, without which the codes in \(Self.weight) mean "
                + "nothing\n"
        }
        for ending in [".absmax", ".nested_absmax", ".nested_quant_map", ".quant_state.bitsandbytes__nf4"] {
            #expect(try without(ending) == absent(ending))
        }
        // As in bitsandbytes, whose values don't come from the file.
        #expect(try without(".quant_map") == "")
        #expect(try llama(Self.weight + ".quant_map") { $0.bytes = $0.bytes.map { _ in 7 } } == "")
    }

    @Test("names a state that can't be read, and what in it") func states() throws {
        let broken = { (message: String) in
            "m/model.safetensors: error: \(Self.state): isn't a quantization state of bitsandbytes: \(message)\n"
        }
        #expect(
            try stated("\"nf4\"", "\"nf4") == broken("expected ',' or '}' after an object's value, found 'b'"))
        #expect(try llama(Self.state) { $0.setText("") } == broken("expected a value, found the end of the text"))
        #expect(try stated("{", "[") == broken("expected ',' or ']' after an array's value, found ':'"))
        #expect(try stated("\"blocksize\"", "\"blocks\"") == broken("the key 'blocks' isn't known"))
        #expect(try stated("{", "{\"extra\": 1, ") == broken("the key 'extra' isn't known"))
        #expect(try stated("\"nf4\"", "\"nf3\"") == broken("the type 'nf3' is neither 'nf4' nor 'fp4'"))
        #expect(
            try stated("\"blocksize\": 64", "\"blocksize\": 48")
                == broken("blocks of 48; there are [32, 64, 128, 256, 512, 1024, 2048, 4096]"))
        #expect(try stated("\"dtype\": \"float32\"", "\"dtype\": \"int4\"") == broken("a weight of type 'int4'"))
        #expect(
            try stated("\"nested_blocksize\": 256", "\"nested_blocksize\": 128")
                == broken("groups of 128 scales; there are groups of 256"))
        #expect(
            try stated("\"nested_offset\": ", "\"nested_offset\": 1e")
                == broken("expected ',' or '}' after an object's value, found '.'"))
        #expect(
            try stated("\"shape\": [24, 12]", "\"shape\": [24, \"12\"]")
                == broken("shape[1]: expected an integer, got \"12\""))
    }

    @Test("says which sizes don't match") func sizes() throws {
        let text = { (name: String, message: String) in "m/model.safetensors: error: \(name): \(message)\n" }
        #expect(
            try stated("[24, 12]", "[12, 24]")
                == text(Self.state, "is a weight of shape [12, 24], but the configuration asks for [24, 12]"))
        #expect(
            try llama(Self.weight) {
                $0.bytes.removeLast()
                $0.shape = [143, 1]
            } == text(Self.weight, "holds 143 bytes, and the 4-bit codes of [24, 12] take 144"))
        #expect(
            try llama(Self.weight + ".absmax") {
                $0.bytes.removeLast()
                $0.shape = [4]
            } == text(Self.weight + ".absmax", "holds 4 numbers for 5 blocks of 64"))
        #expect(
            try stated("\"blocksize\": 64", "\"blocksize\": 128")
                == text(Self.weight + ".absmax", "holds 5 numbers for 3 blocks of 128"))
        #expect(
            try llama(Self.weight + ".nested_quant_map") {
                $0.bytes.removeLast(4)
                $0.shape = [255]
            } == text(Self.weight + ".nested_quant_map", "holds 255 numbers for 256 codes"))
        #expect(
            try stated(", \"nested_blocksize\": 256", "")
                == text(
                    Self.weight + ".absmax", "the stored type is U8, from which floating-point weights can't be read"))
        let row = "model.layers.0.self_attn.q_proj"
        #expect(
            try problems("llama-int8") { tensors in
                for index in tensors.indices where tensors[index].name == row + ".SCB" {
                    tensors[index].bytes.removeLast(4)
                    tensors[index].shape = [23]
                }
            } == text(row + ".SCB", "holds 23 numbers for 24 outputs"))
        #expect(
            try problems("llama-int8") { tensors in
                for index in tensors.indices where tensors[index].name == row + ".weight" {
                    tensors[index].shape = [12, 24]
                }
            }
                == text(
                    row + ".weight",
                    "holds I8 [12, 24], but beside SCB there must be 8-bit codes (I8) of shape [24, 12]"))
        #expect(
            try problems("llama-int8") { tensors in
                for index in tensors.indices where tensors[index].name == row + ".weight_format" {
                    tensors[index].bytes = [2]
                }
            }
                == text(
                    row + ".weight_format",
                    "says that the codes lie in tiles of a GPU's; only rows (0) are read here: save the model again with a "
                        + "newer bitsandbytes"))
        #expect(
            try problems("llama-int8") { $0.removeAll { $0.name == row + ".SCB" } }
                == text(row + ".SCB", "is missing, without which the codes in \(row).weight mean nothing"))
        #expect(
            try llama(Self.weight + ".nested_absmax") { $0.bytes[2...3] = [0xC0, 0x7F] }
                == text(
                    Self.weight + ".nested_absmax",
                    "holds NaN at position 0, with which nothing can be computed: the training that made it diverged, or "
                        + "the file is damaged"))
    }

    @Test("names a way of quantizing that isn't known", arguments: ["gptq", "awq", "hqq", "fp8", "compressed-tensors"])
    func foreign(method: String) throws {
        #expect(
            try problems(
                "llama",
                {
                    $0.replacing("\"bitsandbytes\"", with: "\"\(method)\"").replacing(
                        "\"load_in_4bit\": true", with: "\"bits\": 4")
                }, nil, { _ in }
            ).hasSuffix(
                "error: quantization_config: quantization by '\(method)' isn't supported: bitsandbytes' 4 and 8 bits are "
                    + "supported (load_in_4bit, load_in_8bit); save the model unquantized\n"))
    }

    @Test("isn't quantized in another way on top") func other() throws {
        let already = { (name: String, kind: String, asked: String) in
            "m: error: \(name): is quantized already, as \(kind) and not as \(asked): leave that out, or take the model "
                + "before it was quantized\n"
        }
        func first(_ folder: String, _ kind: Quantization) throws -> String {
            let all = try problems(folder, QuantizationSettings(kind))
            return all.split(separator: "\n").first.map { $0 + "\n" } ?? ""
        }
        #expect(try first("llama", Quantization(.int8)) == already(Self.weight, "nf4, double", "int8"))
        #expect(try first("llama", Quantization(.nf4)) == already(Self.weight, "nf4, double", "nf4"))
        #expect(try first("llama-int8", Quantization(.nf4)) == already(Self.weight, "int8", "nf4"))
        #expect(try first("llama", Quantization(.nf4, isDouble: true)) == "")
    }

    @Test("of GPT-2, dequantized by transformers, is refused by its transposed layers") func transposed() throws {
        let scratch = try Scratch()
        _ = try merge(
            MergeSettings(
                base: "\(Self.folder)/gpt2", adapters: [], output: scratch("out"), elementType: nil, overwrites: false,
                form: .dequantized), warn: { _ in })
        var tensors = try ChangeableTensor.all(of: scratch("out"))
        for index in tensors.indices where tensors[index].name.hasSuffix("c_attn.weight") {
            tensors[index].shape.reverse()
        }
        try FileManager.default.removeItem(atPath: scratch("out/model.safetensors"))
        try ModelWeights.write(tensors.map(\.outgoing), to: scratch("out"))
        let found = #expect(throws: Problems.self) {
            try BaseModel.load(scratch("out"), randomSeed: nil, warn: { _ in })
        }
        #expect(
            found?.list.first?.description
                == "\(scratch("out")): error: transformer.h.0.attn.c_attn.weight: has shape [48, 16], but the configuration "
                + "asks for [16, 48], its transpose, which dequantize() of transformers leaves of GPT-2")
    }

    @Test(
        "is refused where a run asks for 4 and 8 bits, or other blocks",
        arguments: [
            (
                "load_in_4bit: true, load_in_8bit: true",
                "1:52: error: model.load_in_8bit: load_in_4bit and load_in_8bit are both true, and only one can be"
            ),
            (
                "load_in_4bit: true, bnb_4bit_blocksize: 48",
                "1:58: error: model.bnb_4bit_blocksize: blocks have one of 32, 64, 128, 256, 512, 1024, 2048, 4096 elements, "
                    + "got 48"
            ),
            (
                "bnb_4bit_quant_type: fp4",
                "1:39: error: model.bnb_4bit_quant_type: does nothing without load_in_4bit: true"
            ),
            (
                "llm_int8_skip_modules: [x]",
                "1:41: error: model.llm_int8_skip_modules: does nothing without load_in_4bit or load_in_8bit"
            ),
        ]) func settings(options: String, message: String) throws
    {
        let found = #expect(throws: Problems.self) {
            try QuantizationSettings(of: .parse(yaml: "model: {path: x, \(options)}", overrides: []))
        }
        #expect(found?.list.map(\.description) == [message])
    }
}
