import Batches
import Checkpoints
import FoundationEssentials
import JSONText
import Layers
import Models
import Tensors
import TestSupport
import Testing
import Training

@Suite("A model folder") struct BaseModelTests {
    static let folders = [
        "forward-gelu-new", "forward-gelu-inner", "forward-gelu-tanh-untied", "forward-relu-unscaled",
        "forward-silu-inverse-layer", "forward-both-scales", "forward-old-names", "forward-sharded",
        "forward-float32", "forward-float16", "forward-bfloat16",
    ]

    @Test("gives transformers' logits and mean loss within 1e-5", arguments: folders)
    func logits(folder: String) throws {
        let path = fixture("gpt2/\(folder)").path()
        let base = try BaseModel.load(path, randomSeed: nil, warn: { _ in })
        let expected = try SafetensorsFile(path: path + "/expected.safetensors", warn: { _ in })
        let cases = try JSONNode.load(path: path + "/expected.json")
        for (index, sequence) in try cases.array("sequences").enumerated() {
            let ids = try sequence.asArray().map { Int32(try $0.asInteger()) }
            let batch = TokenBatch(sequences: [ids])
            let reference = try expected.raw(named: "logits.\(index)").doubles()
            // Of the last tokens, which depend on all before them.
            let logits = base.model.logits(batch, rows: nil, .inference()).values.suffix(reference.count).map(
                Double.init)
            #expect(logits.count == reference.count)
            let largest = reference.reduce(0) { max($0, $1.magnitude) }
            let difference = zip(logits, reference).reduce(0) { max($0, ($1.0 - $1.1).magnitude) }
            #expect(difference <= 1e-5 * largest, "sequence \(index)")
            guard let mean = try? cases.array("mean_nll64")[index].asNumber() else {
                #expect(ids.count == 1)
                continue
            }
            var learned = TokenBatch(sequences: [Array(ids.dropLast())])
            learned.labels = Array(ids.dropFirst())
            let loss = base.model.loss(learned, scale: 1, .inference())
            #expect(abs(loss.sum / Double(loss.count) - mean) <= 1e-5 * mean, "sequence \(index)")
        }
    }
}
