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
        "gpt2/forward-gelu-new", "gpt2/forward-gelu-inner", "gpt2/forward-gelu-tanh-untied",
        "gpt2/forward-relu-unscaled", "gpt2/forward-silu-inverse-layer", "gpt2/forward-both-scales",
        "gpt2/forward-old-names", "gpt2/forward-sharded", "gpt2/forward-float32", "gpt2/forward-float16",
        "gpt2/forward-bfloat16", "llama/llama-biases", "llama/llama-linear-tied", "llama/llama-llama3",
        "llama/llama-yarn", "llama/mistral-window", "llama/qwen2-layers", "llama/qwen3",
        "llama/llama-grouped", "gpt_neox/pythia", "gpt_neox/serial-tied", "gpt_neox/parallel-linear",
    ]

    @Test("gives transformers' logits and mean loss within 1e-5", arguments: folders)
    func logits(folder: String) throws {
        let path = fixture(folder).path()
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
            // One token after the other, from what the cache holds.
            let cache = base.model.makeCache(prompts: [ids], capacity: ids.count)
            for (position, id) in ids.enumerated() {
                let step = TokenBatch(tokens: [id], positions: [Int32(position)], offsets: [0, 1], labels: [-1])
                let found = base.model.logits(step, rows: nil, .inference(cache: cache)).values
                let start = (position - ids.count) * found.count + reference.count
                if start < 0 { continue }
                let worst = zip(found, reference[start...]).reduce(0) { max($0, (Double($1.0) - $1.1).magnitude) }
                #expect(worst <= 1e-5 * largest, "sequence \(index), token \(position)")
            }
            var learned = TokenBatch(sequences: [Array(ids.dropLast())])
            learned.labels = Array(ids.dropFirst())
            let loss = base.model.loss(learned, scale: 1, .inference())
            #expect(abs(loss.sum / Double(loss.count) - mean) <= 1e-5 * mean, "sequence \(index)")
        }
    }
}
