import Checkpoints
import Datasets
import Files
import FoundationEssentials
import JSONText
import Tensors
import TestSupport
import Testing
import Training

/// Adapters for classification, each with a head of its own (`scripts/fixtures/classification.py`).
@Suite("Merging classifiers") struct ClassifierMergeTests {
    private static let base = fixture("classification/base").path()

    /// A committed adapter with every number moved.
    private func other(_ name: String, in scratch: Scratch) throws -> String {
        let source = try AdapterFolder(path: fixture("classification/\(name)").path(), warn: { _ in })
        try FileSystem.createFolder(scratch("other"))
        let tensors = try source.entries.enumerated().map { index, entry in
            let tensor = try source.tensor(entry)
            let moved = zip(tensor.values, noise(tensor.count, seed: UInt64(index + 7), scale: 0.3)).map { $0 + $1 }
            return OutgoingTensor(entry.tensor.name, Tensor(moved, shape: tensor.shape), as: .float32)
        }
        try AdapterFolder.write(configuration: source.configuration.plain, tensors: tensors, to: scratch("other"))
        return scratch("other")
    }

    private func merge(_ adapters: [(String, Float)], base: String = base, into output: String) throws {
        _ = try Training.merge(
            MergeSettings(
                base: base, adapters: adapters.map { .init(path: $0.0, weight: $0.1) }, output: output,
                elementType: nil, overwrites: false), warn: { Issue.record("unexpected: \($0)") })
    }

    private func values(_ folder: String, _ name: String) throws -> [Float] {
        try ModelWeights(folder: folder, warn: { _ in }).tensor(named: name).values
    }

    @Test("sums the changes by their weights and takes the mean of heads that the base hasn't got")
    func several() throws {
        let scratch = try Scratch()
        let adapters = [fixture("classification/lora").path(), try other("lora", in: scratch)]
        for (index, adapter) in adapters.enumerated() { try merge([(adapter, 1)], into: scratch("\(index)")) }
        try merge([(adapters[0], 1), (adapters[1], 3)], into: scratch("both"))
        let heads = try [0, 1].map { try values(scratch("\($0)"), "score.weight") }
        #expect(heads[0] != heads[1])
        let mean = zip(heads[0], heads[1]).map { (Double($0) + 3 * Double($1)) / 4 }
        #expect(relativeDifference(try values(scratch("both"), "score.weight"), mean) <= 1e-7)
        let layer = "transformer.h.0.attn.c_attn.weight"
        let own = try values(Self.base, layer).map(Double.init)
        let parts = try [0, 1].map { try values(scratch("\($0)"), layer).map(Double.init) }
        let sum = own.indices.map { own[$0] + (parts[0][$0] - own[$0]) + 3 * (parts[1][$0] - own[$0]) }
        #expect(relativeDifference(try values(scratch("both"), layer), sum) <= 1e-6)
        let written = try BaseModel.quietly(scratch("both"))
        #expect(written.labels == .unnamed(3))
        // Half of one adapter changes the body by half, and its head is what it was.
        try merge([(adapters[0], 0.5)], into: scratch("half"))
        #expect(relativeDifference(try values(scratch("half"), "score.weight"), heads[0].map(Double.init)) <= 1e-7)
    }

    @Test("onto a model that has a head sums the heads' changes as well") func ownHead() throws {
        let scratch = try Scratch()
        let model = fixture("classification/model").path()
        let adapters = [fixture("classification/lora").path(), try other("lora", in: scratch)]
        for (index, adapter) in adapters.enumerated() {
            try merge([(adapter, 1)], base: model, into: scratch("\(index)"))
        }
        try merge([(adapters[0], 0.5), (adapters[1], -2)], base: model, into: scratch("both"))
        let own = try values(model, "score.weight").map(Double.init)
        let heads = try [0, 1].map { try values(scratch("\($0)"), "score.weight").map(Double.init) }
        let sum = own.indices.map { own[$0] + 0.5 * (heads[0][$0] - own[$0]) - 2 * (heads[1][$0] - own[$0]) }
        #expect(relativeDifference(try values(scratch("both"), "score.weight"), sum) <= 1e-6)
    }

    @Test("is an error for different tasks, and for weights that leave nothing of the heads") func errors() throws {
        let scratch = try Scratch()
        let (first, second) = (fixture("classification/lora").path(), fixture("classification/lora-regression").path())
        #expect(
            complaint(in: "/nowhere") { try merge([(first, 1), (second, 1)], into: scratch("both")) }
                == "error: the adapters are for different tasks or labels, '\(first)' and '\(second)': they can't be merged "
                + "into one model")
        let third = try other("lora", in: scratch)
        #expect(
            complaint(in: "/nowhere") { try merge([(first, 1), (third, -1)], into: scratch("both")) }
                == "\(first): error: the adapters' weights sum to 0, and the base model has no score.weight, so that nothing "
                + "says what to take of theirs: give weights with another sum")
        #expect(try scratch.names() == ["other"])
    }
}
