import Checkpoints
import Diagnostics
import Foundation
import Layers
import Models
import Tensors
import TestSupport
import Testing
import Training

@Suite("Any mutated folder in 4 or 8 bits") struct QuantizedFuzzTests {
    /// The environment variable FUZZ_CASES asks for more than the few that every run of the tests reads.
    private static let cases = ProcessInfo.processInfo.environment["FUZZ_CASES"].flatMap(Int.init) ?? 400
    private static let folders = ["llama", "llama-int8", "gpt2", "classifier", "qwen3-skip"]

    @Test("is loaded, or is a problem that says where; never a crash") func mutated() throws {
        let scratch = try Scratch()
        let starts = try Self.folders.map { name in
            let folder = fixture("quantized/\(name)").path(percentEncoded: false)
            return (
                tensors: try ChangeableTensor.all(of: folder),
                configuration: try String(contentsOfFile: folder + "/config.json", encoding: .utf8)
            )
        }
        var generator = RandomGenerator(seed: 2026, stream: "quantized")
        func below(_ count: Int) -> Int { min(count - 1, Int(generator.nextUniform() * Double(count))) }
        var accepted = 0
        var messages: Set<String> = []
        try FileManager.default.createDirectory(atPath: scratch("m"), withIntermediateDirectories: true)
        for index in 0..<Self.cases {
            let start = starts[index % starts.count]
            var tensors = start.tensors
            for _ in 0..<1 + below(2) { Self.change(&tensors, below) }
            var bytes = try SafetensorsWriter.bytes(Self.unique(tensors).map(\.outgoing))
            if index % 4 == 0 { bytes[below(bytes.count)] = UInt8(below(256)) }
            try Data(bytes).write(to: URL(filePath: scratch("m/model.safetensors")))
            try scratch.write(start.configuration, to: "m/config.json")
            do {
                let base = try BaseModel.load(scratch("m"), randomSeed: nil, warn: { _ in })
                accepted += 1
                #expect(base.logits([5, 1, 9]).count > 0)
                if let weights = base.weights { _ = try QuantizedEntry.all(in: weights.shards) }
                if index % 8 == 0 {
                    _ = try merge(
                        MergeSettings(
                            base: scratch("m"), adapters: [], output: scratch("out\(index)"), elementType: nil,
                            overwrites: false, form: .dequantized), warn: { _ in })
                }
            } catch let problem as Problem {
                messages.insert(problem.message.filter { !$0.isNumber })
            } catch let problems as Problems {
                for problem in problems.list { messages.insert(problem.message.filter { !$0.isNumber }) }
            }
        }
        // A mutator whose files are all refused at the same place would prove nothing.
        #expect(accepted > Self.cases / 20 && accepted < Self.cases * 3 / 4)
        #expect(messages.count > 25)
        print("fuzz: \(Self.cases) quantized folders, \(accepted) read, \(messages.count) different complaints")
    }

    private static let shapes = [[], [0], [1], [2, 0], [1, 1], [3, 5]]
    private static let texts = [
        "64", "4096", "0", "-64", "9223372036854775807", "nf4", "fp4", "int8", "null", "1e39", "[24, 12]", "[12, 24]",
        "[4611686018427387904, 4]", "[]", "\"", "{", "}", "256", "bfloat16", "nested_offset", "nested_blocksize",
    ]

    /// Takes a tensor away, or changes its name, type, shape, bytes or text; mostly of those that lie beside codes.
    private static func change(_ tensors: inout [ChangeableTensor], _ below: (Int) -> Int) {
        if tensors.isEmpty { return }
        let beside = tensors.indices.filter { index in
            ["quant_state", "absmax", "map", "SCB", "weight_format"].contains { tensors[index].name.contains($0) }
        }
        let index = below(4) > 0 && !beside.isEmpty ? beside[below(beside.count)] : below(tensors.count)
        switch below(8) {
        case 0: tensors.remove(at: index)
        case 1:
            let other = tensors[below(tensors.count)]
            tensors[index] = ChangeableTensor(
                name: tensors[index].name, type: other.type, shape: other.shape, bytes: other.bytes)
        case 2:
            let shape = shapes[below(shapes.count)]
            tensors[index].shape = shape
            tensors[index].type = [ElementType.unsigned8, .signed8, .boolean][below(3)]
            tensors[index].bytes = (0..<shape.reduce(1, *)).map { _ in UInt8(below(256)) }.map { _ in 1 }
        case 3:
            tensors[index].name = tensors[below(tensors.count)].name + [".absmax", ".SCB", ""][below(3)]
        case 4 where !tensors[index].bytes.isEmpty:
            tensors[index].bytes[below(tensors[index].bytes.count)] = UInt8(below(256))
        default:
            guard tensors[index].name.contains("quant_state") else {
                for place in tensors[index].bytes.indices { tensors[index].bytes[place] = UInt8(below(256)) }
                return
            }
            let text = tensors[index].text
            let parts = text.split(whereSeparator: { ",: ".contains($0) }).map(String.init)
            let part = parts.isEmpty ? "" : parts[below(parts.count)]
            tensors[index].setText(text.replacing(part, with: texts[below(texts.count)], maxReplacements: 1))
        }
    }

    private static func unique(_ tensors: [ChangeableTensor]) -> [ChangeableTensor] {
        var names: Set<String> = []
        return tensors.filter { names.insert($0.name).inserted }
    }
}
