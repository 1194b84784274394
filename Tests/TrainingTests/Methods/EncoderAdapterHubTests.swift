import Checkpoints
import FoundationEssentials
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

/// Bottleneck adapters of T5, as AdapterHub's library saves them (`scripts/fixtures/adapterhub/t5.py`).
@Suite("A bottleneck adapter of a model with an encoder") struct EncoderAdapterHubTests {
    @Test(
        "of AdapterHub's gives its logits within 1e-5, and comes back from its own files",
        arguments: ["pfeiffer", "houlsby-cross", "parallel", "cross-alone"])
    func reading(name: String) throws {
        let base = try BaseModel.quietly(fixture("t5/gated").path())
        let folder = fixture("t5/adapterhub").path()
        let expected = try JSONNode.load(path: folder + "/expected.json")
        let installation = try base.install(adapter: folder + "/" + name)
        for (index, pair) in try expected.array("pairs").enumerated() {
            func ids(_ key: String) throws -> [Int32] { try pair.array(key).map { Int32(try $0.asInteger()) } }
            let target = try ids("target")
            let found = base.logits(
                base.model.opening([]) + target.dropLast(), source: try ids("source"))
            let reference = try expected.required("cases").required(name).array("logits")[index].asArray().flatMap {
                try $0.asArray().map { try $0.asNumber() }
            }
            let largest = reference.reduce(0) { max($0, $1.magnitude) }
            let worst = zip(found, reference).reduce(0) { max($0, (Double($1.0) - $1.1).magnitude) }
            #expect(found.count == reference.count && worst <= 1e-5 * largest, "\(worst / largest)")
        }
        guard case .adapter(let configuration, let tensors) = installation.deliver() else {
            Issue.record("no adapter")
            return
        }
        let scratch = try Scratch()
        try scratch.write("", to: "again/empty")
        try AdapterFolder.write(
            configuration: configuration, tensors: tensors.map { OutgoingTensor($0.name, $0.tensor, as: .float32) },
            to: scratch("again"))
        let other = try BaseModel.quietly(fixture("t5/gated").path())
        _ = try other.install(adapter: scratch("again"))
        let (source, ids): ([Int32], [Int32]) = ([5, 9, 1], [0, 7, 3])
        #expect(base.logits(ids, source: source) == other.logits(ids, source: source))
    }
}
