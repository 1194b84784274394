import Batches
import Checkpoints
import Configuration
import Datasets
import Foundation
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

/// Bottleneck adapters with a head, as AdapterHub's library saves them (`scripts/fixtures/adapterhub/make.py`) and as the
/// tool does.
@Suite("A bottleneck adapter with a head") struct AdapterHubHeadTests {
    private static let folder = fixture("adapterhub/heads").path(percentEncoded: false) + "/"
    private static let base = fixture("classification/base").path(percentEncoded: false)
    private static let labels = LabelSet(names: ["good", "bad", "mixed"])

    private static func load(_ labels: LabelSet?) throws -> BaseModel {
        try BaseModel.load(
            base, randomSeed: nil, labels: labels, headSeed: 1, quantization: nil, warn: { Issue.record($0) })
    }

    private static func sequences() throws -> [[Int32]] {
        try JSONNode.load(path: fixture("adapterhub/heads.json").path(percentEncoded: false)).array("sequences").map {
            try $0.asArray().map { Int32(try $0.asInteger()) }
        }
    }

    private static func outputs(_ model: any LanguageModel) throws -> [Float] {
        let batch = TokenBatch(sequences: try sequences())
        return model.logits(batch, rows: batch.offsets.dropFirst().map { $0 - 1 }, .inference()).values
    }

    private func expected(_ kind: String) throws -> [Double] {
        try JSONNode.load(path: fixture("adapterhub/heads.json").path(percentEncoded: false)).required("outputs")
            .array(kind).flatMap { try $0.asArray().map { try $0.asNumber() } }
    }

    private let use = InstallationContext(seed: 1, basePath: "base", isTraining: false)

    @Test(
        "of AdapterHub's is known with its labels, and gives its outputs within 1e-5",
        arguments: ["classifier", "own-classifier", "language-model"])
    func reading(kind: String) throws {
        let adapter = try AdapterFolder(path: Self.folder + kind, warn: { Issue.record($0) })
        let labels = try LabelSet(of: adapter)
        #expect(labels == (kind == "language-model" ? nil : Self.labels))
        let base = try Self.load(labels)
        let before = try Self.outputs(base.model)
        let installation = try base.install(adapter, use)
        #expect(try relativeDifference(Self.outputs(base.model), expected(kind)) <= 1e-5)
        installation.remove()
        #expect(try Self.outputs(base.model) == before)
    }

    @Test("of a kind that the models here don't have is refused, and so is a language model's other than the base's")
    func foreign() throws {
        let folder = Self.folder + "unsupported-head"
        #expect(
            complaint(in: folder) { _ = try AdapterFolder(path: folder, warn: { _ in }) }
                == "head_config.json:2:13: error: config: this head can't be used here: of AdapterHub's own heads only those "
                + "for classification with one layer and no bias are read; to use the adapter without it, take "
                + "model_head.safetensors out of the folder")
        let adapter = try AdapterFolder(path: Self.folder + "language-model", warn: { _ in })
        let base = try Self.load(nil)
        base.model.tokenEmbedding.tensor = Tensor(zeros: base.model.tokenEmbedding.shape)
        #expect(
            complaint(in: adapter.path) { _ = try base.install(adapter, use) }
                == "adapter.safetensors: error: lm_head.weight: the head that is stored beside the adapter isn't the base's "
                + "own, and only the base's is used here: the adapter was made for another base, or its head was trained"
        )
    }

    /// An adapter and a head with every number moved, and our outputs for the sequences.
    private static func write(_ labels: LabelSet, to folder: String) throws -> [Float] {
        let base = try load(labels)
        let section = try ConfigDocument(json: JSONNode.parse(#"{"variant": "houlsby", "size": 3}"#)).root
        let installation = try BottleneckAdapter(section, startingFrom: nil).installWithHead(
            into: base.model, InstallationContext(seed: 3, basePath: "base", isTraining: true))
        for (index, parameter) in installation.trainable.enumerated() {
            let value = parameter.value
            for (i, change) in noise(value.count, seed: UInt64(index + 1), scale: 0.3).enumerated() {
                value.data[i] += change
            }
        }
        guard case .adapter(let configuration, let tensors) = installation.deliver() else {
            Issue.record("no adapter")
            return []
        }
        try AdapterFolder.write(
            configuration: configuration, tensors: tensors.map { OutgoingTensor($0.name, $0.tensor, as: .float32) },
            labels: labels.names, to: folder)
        return try outputs(base.model)
    }

    @Test("is written as AdapterHub has it, and read again with its labels", arguments: [labels, .regression])
    func writing(labels: LabelSet) throws {
        let scratch = try Scratch()
        let found = try Self.write(labels, to: scratch.path)
        #expect(
            try scratch.names() == [
                "adapter.safetensors", "adapter_config.json", "head_config.json", "model_head.safetensors",
            ])
        let theirs = try JSONNode.load(path: Self.folder + "classifier/head_config.json")
        let head = try JSONNode.load(path: scratch("head_config.json"))
        #expect(try head.string("model_class") == theirs.string("model_class") && head.optional("config") == nil)
        #expect(try head.integer("num_labels") == (labels == .regression ? 1 : theirs.integer("num_labels")))
        let names = try head.optionalObject("label2id")?.map(\.key)
        #expect(try names == (labels == .regression ? nil : theirs.object("label2id").map(\.key)))
        let adapter = try AdapterFolder(path: scratch.path, warn: { Issue.record($0) })
        #expect(try LabelSet(of: adapter) == labels)
        let base = try Self.load(labels)
        _ = try base.install(adapter, use)
        #expect(try Self.outputs(base.model) == found)
    }

    private static let hubPython = ProcessInfo.processInfo.environment["PEFT_ADAPTERHUB_PYTHON"]

    @Test(
        "that was written here gives AdapterHub our outputs within 1e-5, in either class of its models",
        .enabled(if: hubPython != nil))
    func loads() throws {
        let scratch = try Scratch()
        try scratch.write("", to: "a/logits.json")
        let found = try Self.write(Self.labels, to: scratch("a"))
        let sequences = try Self.sequences().enumerated().map { index, ids -> JSONValue in
            [
                "ids": .array(ids.map { .integer(Int($0)) }),
                "logits": .array(found[3 * index..<3 * index + 3].map { .number(Double($0)) }),
            ]
        }
        try scratch.write(
            JSONValue.object([.init("sequences", .array(sequences))]).text(.compact), to: "a/logits.json")
        try WrittenAdapterTests.check(
            "check_adapterhub.py", by: try #require(Self.hubPython), of: fixture("classification/base").path(), scratch,
            ["a"])
    }
}
