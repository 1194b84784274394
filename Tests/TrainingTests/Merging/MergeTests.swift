import Batches
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

@Suite("Merging") struct MergeTests {
    static let base = fixture("adapters/base").path(percentEncoded: false)
    static let adapters: [String] = {
        let root = (try? JSONNode.load(path: fixture("adapters/expected.json").path(percentEncoded: false)))
        // Biases inside of lora_B aren't supported.
        return ((try? root?.object("adapters")) ?? []).map(\.key).filter { $0 != "lora-bias" }
    }()

    private func adapter(_ name: String) -> String { fixture("adapters/\(name)").path(percentEncoded: false) }

    @discardableResult
    private func run(
        _ adapters: [(String, Float)], base: String = base, into output: String, as type: ElementType? = nil,
        overwriting: Bool = false
    ) throws -> MergeSummary {
        try merge(
            MergeSettings(
                base: base, adapters: adapters.map { .init(path: $0.0, weight: $0.1) }, output: output,
                elementType: type, overwrites: overwriting), warn: { Issue.record($0) })
    }

    /// The largest difference from the logits that peft gives with the adapter, relative to the largest.
    private func difference(_ folder: String, from name: String) throws -> Double {
        let model = try BaseModel.load(folder, randomSeed: nil, warn: { _ in }).model
        let expected = try SafetensorsFile(
            path: fixture("adapters/expected.safetensors").path(percentEncoded: false), warn: { _ in })
        let cases = try JSONNode.load(path: fixture("adapters/expected.json").path(percentEncoded: false))
        var worst = 0.0
        for (index, sequence) in try cases.array("sequences").enumerated() {
            let ids = try sequence.asArray().map { Int32(try $0.asInteger()) }
            let logits = model.logits(TokenBatch(sequences: [ids]), rows: nil, .inference()).values.map(Double.init)
            let reference = try expected.raw(named: "\(name).\(index)").doubles()
            let largest = reference.reduce(0) { max($0, $1.magnitude) }
            // Those of the last tokens, which depend on all before them.
            worst = zip(logits.suffix(reference.count), reference).reduce(worst) {
                max($0, ($1.0 - $1.1).magnitude / largest)
            }
        }
        return worst
    }

    @Test("gives the logits that peft gives with the adapter, within 1e-5", arguments: adapters)
    func logits(name: String) throws {
        let scratch = try Scratch()
        let summary = try run([(adapter(name), 1)], into: scratch("merged"))
        #expect(summary.difference <= 2e-6 && summary.changedTensors > 0)
        #expect(try difference(scratch("merged"), from: name) <= 1e-5)
        #expect(try scratch.names() == ["merged"])
    }

    @Test("keeps names, types, shards and what lies beside the weights")
    func form() throws {
        let scratch = try Scratch()
        let weights = try ModelWeights(folder: Self.base, warn: { _ in })
        // The old names, two shards, half precision here and there, a mask that nobody reads.
        var shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"].map {
            ModelWeights.OutgoingShard(name: $0, tensors: [])
        }
        for (index, entry) in weights.tensors.enumerated() {
            let name = entry.name.replacing("transformer.", with: "")
            let type: ElementType = name.contains("h.1.") ? .float16 : name.contains("h.2.") ? .bfloat16 : .float32
            shards[index % 2].tensors.append(
                OutgoingTensor(name, try weights.tensor(named: entry.name), as: type))
        }
        shards[1].tensors.append(OutgoingTensor("h.0.attn.bias", Tensor(zeros: [1, 1, 24, 24]), as: .float32))
        try FileManager.default.createDirectory(atPath: scratch("base"), withIntermediateDirectories: true)
        try ModelWeights.write(shards, to: scratch("base"))
        try FileManager.default.copyItem(atPath: Self.base + "/config.json", toPath: scratch("base/config.json"))
        try scratch.write("{\"max_new_tokens\": 5}", to: "base/generation_config.json")
        try scratch.write("# A model", to: "base/README.md")
        try scratch.write("old", to: "base/pytorch_model.bin")
        try scratch.write("{}", to: "base/metrics.jsonl")
        try scratch.write("x", to: "base/checkpoints/step-1/model.safetensors")

        try run([(adapter("all-linear"), 1)], base: scratch("base"), into: scratch("merged"))
        #expect(
            try scratch.names("merged") == [
                "README.md", "config.json", "generation_config.json", "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors", "model.safetensors.index.json",
            ])
        #expect(try scratch.text("merged/config.json") == scratch.text("base/config.json"))
        let before = try ModelWeights(folder: scratch("base"), warn: { _ in })
        let after = try ModelWeights(folder: scratch("merged"), warn: { _ in })
        #expect(before.tensors.map(\.name) == after.tensors.map(\.name))
        #expect(before.tensors.map(\.elementType) == after.tensors.map(\.elementType))
        #expect(before.shards.map { $0.tensors.map(\.name) } == after.shards.map { $0.tensors.map(\.name) })
        let untouched = try (before.raw(named: "wte.weight"), after.raw(named: "wte.weight"))
        #expect(untouched.0.bytes.elementsEqual(untouched.1.bytes))
    }

    @Test(
        "writes another type where it is asked for, within what its rounding explains",
        arguments: [(ElementType.float32, "float32"), (.float16, "float16"), (.bfloat16, "bfloat16")])
    func types(type: ElementType, name: String) throws {
        let scratch = try Scratch()
        let summary = try run([(adapter("default"), 1)], into: scratch("merged"), as: type)
        let weights = try ModelWeights(folder: scratch("merged"), warn: { _ in })
        #expect(weights.tensors.allSatisfy { $0.elementType == type })
        #expect(try JSONNode.load(path: scratch("merged/config.json")).string("dtype") == name)
        let bounds: [ElementType: Double] = [.float32: 1e-4, .float16: 0x1p-8, .bfloat16: 0x1p-5]
        #expect(summary.bound == bounds[type] && summary.difference <= summary.bound)
    }

    @Test("gives a tied model's output layer a weight of its own where the adapter changed one of the two")
    func untying() throws {
        let scratch = try Scratch()
        for name in ["saved-head", "saved-head-and-embedding"] {
            let summary = try run([(adapter(name), 1)], into: scratch(name))
            #expect(summary.untiedHead)
            let configuration = try JSONNode.load(path: scratch("\(name)/config.json"))
            #expect(try configuration.boolean("tie_word_embeddings") == false)
            let weights = try ModelWeights(folder: scratch(name), warn: { _ in })
            #expect(weights.entry(named: "lm_head.weight")?.shape == [97, 24])
        }
        let saved = try run([(adapter("saved-norm"), 1)], into: scratch("norm"))
        #expect(!saved.untiedHead)
        #expect(try ModelWeights(folder: scratch("norm"), warn: { _ in }).entry(named: "lm_head.weight") == nil)
    }

    @Test("sums the weighted changes of several adapters")
    func several() throws {
        let scratch = try Scratch()
        let names = ["default", "all-linear", "saved-head", "bias-all"]
        let shares: [Float] = [0.5, -0.25, 1, 2]
        for name in names { try run([(adapter(name), 1)], into: scratch(name)) }
        try run(zip(names, shares).map { (adapter($0), $1) }, into: scratch("sum"))
        let base = try ModelWeights(folder: Self.base, warn: { _ in })
        let parts = try names.map { try ModelWeights(folder: scratch($0), warn: { _ in }) }
        for entry in try ModelWeights(folder: scratch("sum"), warn: { _ in }).tensors {
            let isHead = entry.name == "lm_head.weight"
            let start = try base.tensor(named: isHead ? "transformer.wte.weight" : entry.name).values
            let found = try ModelWeights(folder: scratch("sum"), warn: { _ in }).tensor(named: entry.name).values
            var expected = start.map(Double.init)
            for (part, share) in zip(parts, shares) where part.entry(named: entry.name) != nil {
                let merged = try part.tensor(named: entry.name).values
                for i in expected.indices { expected[i] += Double(share) * (Double(merged[i]) - Double(start[i])) }
            }
            #expect(largestDifference(found.map(Double.init), expected) <= 1e-6, "\(entry.name)")
        }
    }

    @Test("multiplies a single adapter's change by its weight") func weight() throws {
        let scratch = try Scratch()
        try run([(adapter("default"), 0)], into: scratch("none"))
        #expect(try difference(scratch("none"), from: "base") <= 1e-5)
        try run([(adapter("default"), 0.5), (adapter("default"), 0.5)], into: scratch("halves"))
        #expect(try difference(scratch("halves"), from: "default") <= 1e-5)
    }

    @Test("leaves nothing where a sum is too large for a float") func tooLarge() throws {
        let scratch = try Scratch()
        let folder = try AdapterFolder(path: adapter("default"), warn: { _ in })
        let tensors = try folder.entries.enumerated().map { index, entry in
            let tensor = try folder.tensor(entry).copy()
            // A's first row and B's first column, whose product no float can hold.
            if index == 0 { tensor.data[3] = 3e38 }
            if index == 1 { tensor.data[0] = 1e30 }
            return OutgoingTensor(entry.tensor.name, tensor, as: .float32)
        }
        try FileManager.default.createDirectory(atPath: scratch("broken"), withIntermediateDirectories: true)
        try AdapterFolder.write(configuration: folder.configuration.plain, tensors: tensors, to: scratch("broken"))
        let problem = Problem(
            "has infinity in row 3, column 0 after merging: an adapter holds such numbers, or the weights are too large; "
                + "nothing was written", file: scratch("merged"), key: "transformer.h.0.attn.c_attn.weight")
        #expect(throws: problem) { try run([(scratch("broken"), 1)], into: scratch("merged")) }
        #expect(try scratch.names() == ["broken"])
    }

    @Test("refuses an output that is an input, holds one, or has content")
    func outputs() throws {
        let scratch = try Scratch()
        try FileManager.default.copyItem(atPath: Self.base, toPath: scratch("models/base"), creatingFolders: true)
        try FileManager.default.copyItem(atPath: adapter("default"), toPath: scratch("models/adapter"))
        func refusal(_ output: String, overwriting: Bool) -> Problem? {
            do {
                try run(
                    [(scratch("models/adapter"), 1)], base: scratch("models/base"), into: output,
                    overwriting: overwriting)
                return nil
            } catch { return error as? Problem }
        }
        func expected(_ message: String, _ output: String) -> Problem {
            Problem(message, file: output, exitStatus: .cannotCreate)
        }
        for output in [scratch("models/base"), scratch("models/base/"), scratch("models/../models/base")] {
            #expect(
                refusal(output, overwriting: true)
                    == expected(
                        "the output would replace '\(scratch("models/base"))', which is an input: choose another folder",
                        output))
        }
        #expect(
            refusal(scratch("models"), overwriting: true)
                == expected(
                    "the output would replace '\(scratch("models/base"))', which is an input: choose another folder",
                    scratch("models")))
        try scratch.write("mine", to: "full/notes.txt")
        #expect(
            refusal(scratch("full"), overwriting: false)
                == expected(
                    "the folder exists and is not empty: choose another, or replace it with --overwrite",
                    scratch("full")))
        try scratch.write("{}", to: "full/config.json")
        #expect(
            refusal(scratch("full"), overwriting: true)
                == expected(
                    "the folder holds no model, which is all that --overwrite replaces, but 'config.json', 'notes.txt': "
                        + "choose another folder", scratch("full")))
        #expect(refusal(scratch("merged"), overwriting: false) == nil)
        // What the base has beside its weights is copied, and so replaced; the rest is someone else's.
        try scratch.write("stale", to: "models/base/notes.txt")
        #expect(refusal(scratch("merged"), overwriting: true) == nil)
        #expect(refusal(scratch("merged"), overwriting: true) == nil)
        #expect(try scratch.names("merged") == ["config.json", "model.safetensors", "notes.txt"])
        // Notes of one's own stay.
        try scratch.write("about it", to: "merged/README.md")
        #expect(refusal(scratch("merged"), overwriting: true) == nil)
        #expect(try scratch.text("merged/README.md") == "about it")
        try scratch.write("my own", to: "merged/notes.txt")
        try scratch.write("ref", to: "merged/.git/HEAD")
        #expect(
            refusal(scratch("merged"), overwriting: true)
                == expected(
                    "the folder holds more than a model, which is all that --overwrite replaces: '.git', 'notes.txt'; "
                        + "move that away, or choose another folder", scratch("merged")))
        #expect(try scratch.names("merged") == [".git", "README.md", "config.json", "model.safetensors", "notes.txt"])
        #expect(try scratch.names() == ["full", "merged", "models"])
    }
}

extension FileManager {
    fileprivate func copyItem(atPath source: String, toPath target: String, creatingFolders: Bool) throws {
        let parent = URL(filePath: target).deletingLastPathComponent()
        try createDirectory(at: parent, withIntermediateDirectories: true)
        try copyItem(atPath: source, toPath: target)
    }
}
