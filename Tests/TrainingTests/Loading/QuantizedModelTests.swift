import Checkpoints
import Configuration
import Files
import FoundationEssentials
import JSONText
import Layers
import Models
import Tensors
import TestSupport
import Testing
import Training

/// Folders that transformers and bitsandbytes wrote, see `scripts/fixtures/quantized.py`.
@Suite("A model in 4 or 8 bits") struct QuantizedModelTests {
    static let folder = fixture("quantized").path(percentEncoded: false) + "/"
    static let names = ["gpt2", "llama", "llama-int8", "llama-tied-bfloat16", "qwen3-skip", "t5", "classifier"]

    private func expected(_ name: String) throws -> JSONNode {
        try JSONNode.load(path: Self.folder + "expected.json").required(name)
    }

    private func settings(_ name: String) throws -> QuantizationSettings {
        var text = try expected(name).required("quantization").plain.text(.compact)
        if try expected(name).required("quantization").optional("bnb_4bit_quant_type") == nil {
            text = text.replacing("{", with: #"{"path": "base", "#)
        }
        return try #require(try QuantizationSettings(of: .parse(yaml: "model: \(text)", overrides: [])))
    }

    private func logits(_ base: BaseModel, _ name: String) throws -> [[Double]] {
        let node = try expected(name)
        if let pairs = try node.optional("pairs") {
            return try pairs.asArray().map {
                let tokens = base.model.opening([]) + (try ids($0.required("target"))).dropLast()
                return base.logits(tokens, source: try ids($0.required("source"))).map(Double.init)
            }
        }
        return try node.array("sequences").map { sequence in
            var tokens = try ids(sequence)
            // A classifier doesn't look at padding.
            if base.labels != nil, tokens.last == base.paddingID { tokens.removeLast() }
            return base.logits(tokens).map(Double.init)
        }
    }

    @Test("gives the logits of transformers with bitsandbytes within 1e-5", arguments: names)
    func logits(name: String) throws {
        let base = try BaseModel.load(Self.folder + name, randomSeed: nil, warn: { _ in })
        let file = try SafetensorsFile(path: Self.folder + "expected.safetensors", warn: { _ in })
        for (index, found) in try logits(base, name).enumerated() {
            let wanted = try file.raw(named: "\(name).\(index)").doubles()
            #expect(relativeDifference(found.suffix(wanted.count).map { Float($0) }, wanted) <= 1e-5)
        }
    }

    @Test("has the layers in few bits that transformers chose, and its codes to the bit", arguments: names)
    func codes(name: String) throws {
        let node = try expected(name)
        let stored = try BaseModel.load(Self.folder + name, randomSeed: nil, warn: { _ in })
        let made = try BaseModel.load(
            fixture(node.string("source")).path(percentEncoded: false), randomSeed: nil, labels: stored.labels,
            headSeed: 0,
            quantization: settings(name), warn: { _ in })
        let quantized = try node.array("quantized").map { try $0.asString() + ".weight" }
        for (theirs, ours) in zip(stored.model.parameters, made.model.parameters) {
            #expect(theirs.name == ours.name)
            #expect((ours.value is QuantizedTensor) == quantized.contains(ours.name), "\(ours.name)")
            guard let ours = ours.value as? QuantizedTensor else { continue }
            let theirs = try #require(theirs.value as? QuantizedTensor)
            #expect(ours.codesByRows() == theirs.codesByRows() && ours.quantization == theirs.quantization)
            if case .nested(_, _, _, let offset) = theirs.scales {
                guard case .nested(_, _, _, let own) = ours.scales else { continue }
                #expect((own - offset).magnitude <= 1e-6 * offset.magnitude)
            } else {
                #expect(ours.scales.values == theirs.scales.values)
            }
        }
    }
}
