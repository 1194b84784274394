import Batches
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

/// The Python of an environment with transformers and bitsandbytes.
private let python = ProcessInfo.processInfo.environment["PEFT_REFERENCE_PYTHON"]

/// Folders that transformers and bitsandbytes wrote, and what we make of their sources, see
/// `scripts/fixtures/quantized.py`.
@Suite("A quantized model's folder") struct QuantizeTests {
    private static let folder = fixture("quantized").path(percentEncoded: false)
    static let names = ["gpt2", "llama", "llama-int8", "llama-tied-bfloat16", "qwen3-skip", "t5", "classifier"]

    /// The source of a folder in the type that it was loaded in, and how it was quantized.
    private func source(_ name: String, _ scratch: Scratch) throws -> (path: String, settings: QuantizationSettings) {
        let node = try JSONNode.load(path: "\(Self.folder)/expected.json").required(name)
        let settings = try #require(
            try QuantizationSettings(
                of: .parse(
                    yaml: "model: \(node.required("quantization").plain.text(.compact))", overrides: [])))
        let path = fixture(try node.string("source")).path(percentEncoded: false)
        if try node.string("dtype") == "bfloat16" { return (path, settings) }
        _ = try merge(
            MergeSettings(
                base: path, adapters: [], output: scratch("source"), elementType: .float32, overwrites: false),
            warn: { _ in })
        return (scratch("source"), settings)
    }

    @Test("holds what bitsandbytes writes, byte for byte but for the mean of nested scales", arguments: names)
    func bytes(name: String) throws {
        let scratch = try Scratch()
        let (path, settings) = try source(name, scratch)
        let summary = try quantize(
            QuantizeSettings(base: path, output: scratch("out"), quantization: settings, overwrites: false),
            warn: { _ in })
        #expect(summary.difference == 0 && summary.cost > 0)
        let theirs = try ModelWeights(folder: "\(Self.folder)/\(name)", warn: { _ in })
        let ours = try ModelWeights(folder: scratch("out"), warn: { _ in })
        #expect(ours.tensors.map(\.name) == theirs.tensors.map(\.name))
        for entry in theirs.tensors {
            let (raw, own) = (try theirs.raw(named: entry.name), try ours.raw(named: entry.name))
            #expect(raw.elementType == own.elementType, "\(entry.name)")
            // The length of the offset's digits is in that of the text.
            if let state = try? JSONNode.parse(raw.bytes), let mine = try? JSONNode.parse(own.bytes),
                let offset = try? state.number("nested_offset"), let found = try? mine.number("nested_offset")
            {
                #expect((offset - found).magnitude <= 1e-6 * offset.magnitude)
                let digits = { (value: Double) in JSONValue.number(value).text(.compact) }
                let text = String(decoding: own.bytes, as: UTF8.self)
                #expect(
                    text.replacing(digits(found), with: digits(offset)) == String(decoding: raw.bytes, as: UTF8.self))
                try compare(nested: String(entry.name.split(separator: ".quant_state")[0]), theirs, ours)
                continue
            }
            #expect(raw.shape == own.shape, "\(entry.name)")
            let isNested = try theirs.entry(named: entry.name.replacing(".nested_absmax", with: ".absmax"))
                .map { try theirs.raw(named: $0.name).elementType == .unsigned8 && $0.name.hasSuffix(".absmax") }
            if isNested == true { continue }
            #expect(raw.bytes.elementsEqual(own.bytes), "\(entry.name)")
        }
        let configuration = { (folder: String) in
            try JSONNode.load(path: folder + "/config.json").required("quantization_config").plain
        }
        #expect(try configuration(scratch("out")) == configuration("\(Self.folder)/\(name)"))
    }

    @Test("keeps shards, old names and what isn't a parameter") func shards() throws {
        let scratch = try Scratch()
        let source = fixture("classification/base").path(percentEncoded: false)
        let weights = try ModelWeights(folder: source, warn: { _ in })
        var shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"].map {
            ModelWeights.OutgoingShard(name: $0, tensors: [])
        }
        for (index, entry) in weights.tensors.enumerated() {
            shards[index % 2].tensors.append(
                OutgoingTensor(
                    entry.name.replacing("transformer.", with: ""), try weights.tensor(named: entry.name), as: .float32)
            )
        }
        shards[1].tensors.append(OutgoingTensor("h.0.attn.bias", Tensor(zeros: [1, 1, 32, 32]), as: .float32))
        try FileManager.default.createDirectory(atPath: scratch("base"), withIntermediateDirectories: true)
        try ModelWeights.write(shards, to: scratch("base"))
        try FileManager.default.copyItem(atPath: source + "/config.json", toPath: scratch("base/config.json"))
        let kind = QuantizationSettings(Quantization(.nf4, isDouble: true))
        _ = try quantize(
            QuantizeSettings(base: scratch("base"), output: scratch("out"), quantization: kind, overwrites: false),
            warn: { _ in })
        let written = try ModelWeights(folder: scratch("out"), warn: { _ in })
        #expect(written.isSharded && written.shardNames == shards.map(\.name))
        for (shard, file) in zip(shards, written.shards) {
            let names = file.tensors.map(\.name).filter { !written.quantizationNames.contains($0) }
            #expect(names.sorted() == shard.tensors.map(\.name).sorted())
        }
        // What belongs to codes lies in their file.
        for (name, weight) in written.quantizedNames {
            #expect(written.shard(of: name)?.path == written.shard(of: weight)?.path)
        }
        // With AVX-512 bitsandbytes rounds.
        if let python, !Processor.hasWideVectors { try scratch.checkInReference("out", python: python) }
        let back = MergeSettings(
            base: scratch("out"), adapters: [], output: scratch("back"), elementType: nil, overwrites: false,
            form: .dequantized)
        _ = try merge(back, warn: { Issue.record($0) })
        let floats = try ModelWeights(folder: scratch("back"), warn: { _ in })
        #expect(floats.tensors.map(\.summary).sorted() == shards.flatMap(\.tensors).map { "F32 \($0.shape)" }.sorted())
    }

    @Test("of a large layer takes 4.127 bits a parameter with nested scales, and 8 and a scale a row") func bits()
        throws
    {
        let weight = Tensor(uninitialized: [1024, 4096])
        for index in 0..<weight.count { weight.data[index] = Float(index % 251) - 125 }
        func bits(_ kind: Quantization) throws -> Double {
            let tensor = try QuantizedTensor.quantizing(
                weight, isInputByOutput: false, kind, originalType: "float32")
            let bytes = OutgoingTensor.quantized("x.weight", tensor).reduce(0) { $0 + $1.byteCount }
            return 8 * Double(bytes) / Double(weight.count)
        }
        #expect(try (bits(Quantization(.nf4, isDouble: true)) - 4.127).magnitude < 0.004)
        #expect(try (bits(Quantization(.nf4)) - 4.5).magnitude < 0.001)
        #expect(try (bits(Quantization(.int8)) - (8 + 32 / 4096)).magnitude < 0.01)
    }

    /// Nested scales from the same magnitudes by the other's mean.
    private func compare(nested name: String, _ theirs: ModelWeights, _ ours: ModelWeights) throws {
        let shape = try JSONNode.parse(
            theirs.raw(named: name + ".quant_state.bitsandbytes__nf4").bytes)
        let offset = Float(try shape.number("nested_offset"))
        let base = try ours.raw(named: name + ".absmax")
        #expect(base.elementType == .unsigned8)
        let (own, their) = (
            try ours.tensor(named: name + ".nested_absmax"), try theirs.tensor(named: name + ".nested_absmax")
        )
        for (a, b) in zip(own.values, their.values) { #expect((a - b).magnitude <= 1e-6 * (offset + b)) }
        let codes = try theirs.raw(named: name + ".absmax")
        let different = zip(base.bytes, codes.bytes).count { $0 != $1 }
        #expect(different * 50 <= codes.count)
        for (a, b) in zip(base.bytes, codes.bytes) { #expect((Int(a) - Int(b)).magnitude <= 1) }
    }

    @Test(
        "is read by transformers and bitsandbytes, with the same logits within 1e-5",
        .enabled(if: python != nil, "PEFT_REFERENCE_PYTHON names no Python with transformers"),
        .enabled(if: !Processor.hasWideVectors, "bitsandbytes rounds, and errs, on processors with AVX-512"),
        arguments: [
            ("classification/base", "load_in_4bit: true, bnb_4bit_use_double_quant: true"),
            ("classification/base", "load_in_4bit: true, bnb_4bit_blocksize: 32, bnb_4bit_quant_type: fp4"),
            ("llama/llama-biases", "load_in_4bit: true, bnb_4bit_use_double_quant: true, bnb_4bit_blocksize: 128"),
            ("llama/llama-linear-tied", "load_in_4bit: true, llm_int8_skip_modules: [down_proj]"),
            ("llama/llama-biases", "load_in_8bit: true"),
            ("llama/qwen3", "load_in_4bit: true, llm_int8_skip_modules: [v_proj]"),
            ("llama/classification/model", "load_in_4bit: true, llm_int8_skip_modules: [v_proj]"),
            ("gpt_neox/pythia", "load_in_4bit: true"),
            ("t5/gelu", "load_in_4bit: true"),
            ("t5/gelu", "load_in_8bit: true"),
        ], [ElementType.float32, .bfloat16])
    func reference(model: (base: String, options: String), type: ElementType) throws {
        let scratch = try Scratch()
        _ = try merge(
            MergeSettings(
                base: fixture(model.base).path(percentEncoded: false), adapters: [], output: scratch("source"),
                elementType: type, overwrites: false), warn: { _ in })
        let settings = try #require(
            try QuantizationSettings(of: .parse(yaml: "model: {\(model.options)}", overrides: [])))
        _ = try quantize(
            QuantizeSettings(
                base: scratch("source"), output: scratch("out"), quantization: settings, overwrites: false),
            warn: { _ in })
        try scratch.checkInReference("out", python: try #require(python))
    }
}

extension Scratch {
    /// Lets transformers compute a model's logits.
    func checkInReference(_ folder: String, python: String) throws {
        let base = try BaseModel.load(self(folder), randomSeed: nil, warn: { _ in })
        let count = base.model.vocabularySize
        let ids = (0..<12).map { Int32(($0 * 31 + 5) % (count - 1)) }
        let tokens = base.model.hasEncoder ? base.model.opening([]) + ids.prefix(5) : ids
        var batch = TokenBatch(sequences: [tokens])
        if base.model.hasEncoder { batch.source = SourceRows([ids]) }
        let logits = base.model.logits(batch, rows: nil, .inference())
        let width = logits.count / tokens.count
        let rows = stride(from: 0, to: logits.count, by: width).map { start in
            JSONValue.array(logits.values[start..<start + width].map { .number(Double($0)) })
        }
        var sequence: [JSONValue.Member] = [
            .init("ids", .array(tokens.map { .integer(Int($0)) })),
            .init("logits", base.labels == nil ? .array(rows) : rows[tokens.count - 1]),
        ]
        if base.model.hasEncoder { sequence.append(.init("source", .array(ids.map { .integer(Int($0)) }))) }
        let expected: JSONValue = ["sequences": [.object(sequence)]]
        try write(expected.text(.compact), to: "logits.json")
        let process = Process()
        process.executableURL = URL(filePath: python)
        process.arguments = [
            repositoryRoot.appending(path: "scripts/check_model.py").path(percentEncoded: false), self(folder),
            self("logits.json"),
        ]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(said)")
    }
}
