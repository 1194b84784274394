import Checkpoints
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

/// Adapters that peft trained on bases in 4 and 8 bits, and what its merge makes of them, see
/// `scripts/fixtures/quantized.py`.
@Suite("Merging into weights of 4 or 8 bits") struct QuantizedMergeTests {
    private static let folder = fixture("quantized").path(percentEncoded: false)

    @discardableResult
    private func run(
        _ adapter: String?, base: String, into output: String, _ form: MergeSettings.Form,
        as type: ElementType? = nil, acceptingOtherBase: Bool = false
    ) throws -> MergeSummary {
        try merge(
            MergeSettings(
                base: base, adapters: adapter.map { [.init(path: "\(Self.folder)/runs/\($0)", weight: 1)] } ?? [],
                output: output, elementType: type, overwrites: false, acceptsOtherBase: acceptingOtherBase, form: form),
            warn: { Issue.record($0) })
    }

    private func quantizedBase(_ run: String) -> String { "\(Self.folder)/\(run.split(separator: "/")[0])" }

    static let layers = [
        ("gpt2/lora", "transformer.h.0.attn.c_attn"), ("llama/lora", "model.layers.0.self_attn.q_proj"),
        ("llama/lora", "model.layers.0.mlp.down_proj"), ("llama-int8/all-linear", "model.layers.0.self_attn.k_proj"),
    ]

    @Test("anew gives peft's codes, bit for bit", arguments: layers) func codes(run name: String, layer: String) throws
    {
        let scratch = try Scratch()
        let summary = try run(name, base: quantizedBase(name), into: scratch("out"), .requantized)
        #expect(summary.difference == 0)
        #expect(try #require(summary.distance) > 0)
        let (before, after) = (try #require(summary.lossBefore), try #require(summary.lossAfter))
        #expect(before > 1 && before < 10 && after > 1 && after < 10 && before != after)
        let theirs = try SafetensorsFile(path: "\(Self.folder)/merged.safetensors", warn: { _ in })
        let ours = try ModelWeights(folder: scratch("out"), warn: { _ in })
        let weight = layer + ".weight"
        let raw = try ours.raw(named: weight)
        #expect(try raw.bytes.elementsEqual(theirs.raw(named: "\(name).\(weight)").bytes))
        if raw.elementType == .signed8 {
            #expect(
                try ours.tensor(named: layer + ".SCB").values == theirs.tensor(named: "\(name).\(layer).SCB").values)
            return
        }
        let state = try JSONNode.parse(theirs.raw(named: "\(name).\(weight).quant_state.bitsandbytes__nf4").bytes)
        let own = try JSONNode.parse(ours.raw(named: "\(weight).quant_state.bitsandbytes__nf4").bytes)
        let (offset, found) = (try state.number("nested_offset"), try own.number("nested_offset"))
        #expect((offset - found).magnitude <= 1e-6 * offset.magnitude)
        #expect(try state.string("dtype") == own.string("dtype"))
        #expect(try theirs.raw(named: "\(name).\(weight).absmax").count == ours.raw(named: weight + ".absmax").count)
    }

    @Test("takes the sum of what codes stand for and the change", arguments: layers.dropFirst())
    func sums(run name: String, layer: String) throws {
        let theirs = try SafetensorsFile(path: "\(Self.folder)/merged.safetensors", warn: { _ in })
        let base = try BaseModel.load(quantizedBase(name), randomSeed: nil, warn: { _ in })
        let parameter = try #require(base.model.parameters.first { $0.name == layer + ".weight" })
        let before = try #require(parameter.value as? QuantizedTensor)
        #expect(try before.floats.values == theirs.tensor(named: "\(name).\(layer).before").values)
        let sum = try theirs.tensor(named: "\(name).\(layer).sum")
        let scratch = try Scratch()
        try run(name, base: quantizedBase(name), into: scratch("floats"), .dequantized)
        let floats = try ModelWeights(folder: scratch("floats"), warn: { _ in }).tensor(named: layer + ".weight")
        #expect(relativeDifference(floats.values, sum.values.map(Double.init)) <= 1e-6)
    }

    static let runs = [
        "gpt2/lora", "gpt2/dora", "gpt2/saved", "gpt2/adalora", "gpt2/ia3", "gpt2/loha", "gpt2/ln_tuning", "llama/lora",
        "llama/dora", "llama/tokens", "llama/ia3", "llama/lokr", "llama-int8/all-linear", "llama-int8/dora",
    ]

    @Test("proves itself in every form, and leaves nothing of codes among floats", arguments: runs)
    func forms(name: String) throws {
        let scratch = try Scratch()
        let base = quantizedBase(name)
        let summary = try run(name, base: base, into: scratch("floats"), .dequantized)
        #expect(summary.difference <= 5e-6 && summary.quantizedTensors > 0)
        let stored = try ModelWeights(folder: base, warn: { _ in })
        let floats = try ModelWeights(folder: scratch("floats"), warn: { _ in })
        // A saved embedding unties the head.
        let names = Set(floats.tensors.map(\.name)).subtracting(["lm_head.weight"])
        #expect(
            names
                == Set(stored.tensors.map(\.name)).subtracting(stored.quantizationNames).subtracting(["lm_head.weight"])
        )
        #expect(floats.tensors.allSatisfy { $0.elementType == .float32 })
        #expect(try JSONNode.load(path: scratch("floats/config.json")).optional("quantization_config") == nil)
        let again = try run(name, base: base, into: scratch("codes"), .requantized)
        #expect(again.difference == 0)
        let codes = try ModelWeights(folder: scratch("codes"), warn: { _ in })
        #expect(
            Set(codes.tensors.map(\.name)).subtracting(["lm_head.weight"])
                == Set(stored.tensors.map(\.name)).subtracting(["lm_head.weight"]))
        #expect(codes.quantizationNames == stored.quantizationNames)
    }

    @Test(
        "writes what codes stand for, the right way round, without an adapter", arguments: ["gpt2", "llama-int8", "t5"])
    func dequantized(name: String) throws {
        let scratch = try Scratch()
        let summary = try run(nil, base: "\(Self.folder)/\(name)", into: scratch("out"), .dequantized)
        #expect(summary.changedTensors == 0 && summary.quantizedTensors > 0 && summary.distance == nil)
        let stored = try BaseModel.load("\(Self.folder)/\(name)", randomSeed: nil, warn: { _ in })
        let written = try BaseModel.load(scratch("out"), randomSeed: nil, warn: { Issue.record($0) })
        for (theirs, ours) in zip(stored.model.parameters, written.model.parameters) {
            #expect(theirs.name == ours.name && theirs.tensor.values == ours.tensor.values)
        }
        if name == "gpt2" {
            let entry = try #require(written.weights?.entry(named: "transformer.h.0.attn.c_attn.weight"))
            #expect(entry.shape == [16, 48])
        }
        try run(nil, base: "\(Self.folder)/\(name)", into: scratch("half"), .dequantized, as: .bfloat16)
        let half = try JSONNode.load(path: scratch("half/config.json"))
        #expect(try half.string("dtype") == "bfloat16")
    }

    @Test("of 16 bits gives them back in 16 bits") func types() throws {
        let scratch = try Scratch()
        try run(nil, base: "\(Self.folder)/llama-tied-bfloat16", into: scratch("out"), .dequantized)
        let weights = try ModelWeights(folder: scratch("out"), warn: { _ in })
        #expect(weights.tensors.allSatisfy { $0.elementType == .bfloat16 })
    }

    @Test("goes into the floats that the folder was made from, and says how far that is from what was trained")
    func originals() throws {
        let scratch = try Scratch()
        let floats = fixture("classification/base").path(percentEncoded: false)
        let summary = try run("gpt2/lora", base: floats, into: scratch("out"), .original)
        #expect(summary.quantization == "nf4, double" && summary.quantizedTensors == 0)
        let (distance, plain) = (try #require(summary.distance), try #require(summary.baseDistance))
        #expect(distance > 0.01 && plain > 0.01 && summary.difference <= 2e-6)
        #expect(try ModelWeights(folder: scratch("out"), warn: { _ in }).quantizationNames.isEmpty)
    }

    @Test("needs a form, floats or their codes") func problems() throws {
        let scratch = try Scratch()
        let (base, output) = ("\(Self.folder)/gpt2", scratch("out"))
        func message(_ body: () throws -> Void) -> String? {
            do {
                try body()
                return nil
            } catch {
                // The base that an adapter names is found from the current folder, or from the adapter's.
                return (error as? Problem)?.description.replacing(Self.folder, with: "quantized").replacing(
                    "Tests/Fixtures/quantized", with: "quantized")
            }
        }
        let advice =
            "quantized/gpt2: error: holds weights in fewer bits (nf4, double), to which nothing can be added as they are: give "
            + "--dequantize to write floats, --requantize to quantize the sums anew, or with --base the model that it was "
            + "made from"
        #expect(message { try run("gpt2/lora", base: base, into: output, .original) } == advice)
        #expect(message { try run(nil, base: base, into: output, .original, as: .float16) } == advice)
        let floats = fixture("classification/base").path(percentEncoded: false)
        #expect(
            message { try run("gpt2/lora", base: floats, into: output, .requantized) }
                == "\(floats): error: holds floats, and no adapter was trained on them in fewer bits: merge without "
                + "--requantize, and then quantize")
        #expect(
            message { try run("gpt2/lora", base: floats, into: output, .dequantized) }
                == "\(floats): error: holds floats, and no adapter was trained on them in fewer bits: merge without "
                + "--dequantize")
        // Another model of the same shapes.
        try run(nil, base: floats, into: scratch("other"), .original, as: .bfloat16)
        #expect(
            message { try run("gpt2/lora", base: scratch("other"), into: output, .original) }
                == "\(scratch("other")): error: isn't the model that 'quantized/gpt2' was made from, on which the adapter was "
                + "trained: quantized alike it has other codes; give the right one with --base, or --other-base to go on "
                + "all the same")
        #expect(
            message {
                try run("gpt2/lora", base: scratch("other"), into: output, .original, acceptingOtherBase: true)
            } == nil)
    }

    @Test("takes several adapters, and says so where they were trained on the base in different forms") func several()
        throws
    {
        let scratch = try Scratch()
        let adapters = ["lora", "dora"].map { "\(Self.folder)/runs/gpt2/\($0)" }
        func settings(_ paths: [String], base: String, _ form: MergeSettings.Form) -> MergeSettings {
            MergeSettings(
                base: base, adapters: paths.map { .init(path: $0, weight: 0.5) }, output: scratch("\(form)"),
                elementType: nil, overwrites: false, form: form)
        }
        for form in [MergeSettings.Form.dequantized, .requantized] {
            let summary = try merge(settings(adapters, base: "\(Self.folder)/gpt2", form), warn: { Issue.record($0) })
            #expect(summary.difference <= 5e-6 && summary.changedTensors == 4)
        }
        // As runs that quantized the base while it was read leave them.
        let floats = fixture("classification/base").path(percentEncoded: false)
        let copies = try ["a", "b"].enumerated().map { index, name in
            try FileManager.default.copyItem(atPath: adapters[0], toPath: scratch(name))
            try scratch.write(
                "model: {path: x, load_in_\(index == 0 ? "4" : "8")bit: true}\n", to: "\(name)/training_config.yaml")
            return scratch(name)
        }
        let found = #expect(throws: Problem.self) {
            try merge(settings(copies, base: floats, .requantized), warn: { _ in })
        }
        #expect(
            found?.message
                == "the adapters were trained on the base in different forms, '\(copies[0])' in nf4 and '\(copies[1])' in "
                + "int8: only its floats can take both")
        let summary = try merge(settings(copies, base: floats, .original), warn: { Issue.record($0) })
        #expect(summary.distance == nil && summary.difference <= 5e-6)
    }

    @Test(
        "gives folders that transformers and bitsandbytes read, with the same logits within 1e-5",
        .enabled(if: python != nil, "PEFT_REFERENCE_PYTHON names no Python with transformers"),
        .enabled(if: !Processor.hasWideVectors, "bitsandbytes rounds, and errs, on processors with AVX-512"),
        arguments: ["gpt2/lora", "llama/dora", "llama-int8/all-linear"],
        [MergeSettings.Form.dequantized, .requantized])
    func reference(name: String, form: MergeSettings.Form) throws {
        let scratch = try Scratch()
        try run(name, base: quantizedBase(name), into: scratch("out"), form)
        try scratch.checkInReference("out", python: try #require(python))
    }
}
