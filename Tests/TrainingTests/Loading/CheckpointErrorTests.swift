import Checkpoints
import FoundationEssentials
import Tensors
import TestSupport
import Testing
import Training

@Suite("A model folder that isn't right") struct CheckpointErrorTests {
    private func folder(
        _ change: ([(name: String, tensor: Tensor)]) throws -> [(String, Tensor)] = { $0.map { ($0.name, $0.tensor) } }
    ) throws -> Scratch {
        let scratch = try Scratch()
        try scratch.copy("adapters/base/config.json", to: "config.json")
        try scratch.rewrite(fixture("adapters/base/model.safetensors").path(), to: "model.safetensors", change)
        return scratch
    }

    @Test("is one error for everything that is missing, misshapen or has no place") func tensors() throws {
        let scratch = try folder { tensors in
            tensors.compactMap { name, tensor in
                switch name {
                case "transformer.h.1.ln_1.bias", "transformer.wpe.weight": nil
                case "transformer.h.0.mlp.c_fc.weight": (name, tensor.reshaped(tensor.shape.reversed()))
                default: (name, tensor)
                }
            } + [("transformer.h.3.ln_1.bias", Tensor(zeros: [24])), ("score.weight", Tensor(zeros: [2, 24]))]
        }
        #expect(
            complaint(in: scratch.path) { _ = try BaseModel.quietly(scratch.path) }
                .replacing(scratch.path, with: "FOLDER") == """
                    FOLDER: error: transformer.wpe.weight: is missing; the configuration asks for shape [24, 24]
                    FOLDER: error: transformer.h.0.mlp.c_fc.weight: has shape [96, 24], but the configuration asks for \
                    [24, 96], its transpose, which dequantize() of transformers leaves of GPT-2
                    FOLDER: error: transformer.h.1.ln_1.bias: is missing; the configuration asks for shape [24]
                    FOLDER: error: score.weight: the model has no place for this tensor
                    FOLDER: error: transformer.h.3.ln_1.bias: the model has no place for this tensor
                    """)
    }

    @Test("may hold the buffers of old checkpoints and a tied head's weight once more") func buffers() throws {
        let plain = try BaseModel.quietly(fixture("adapters/base").path()).logits([4, 7, 90])
        for prefix in ["transformer.", ""] {
            let scratch = try folder { tensors in
                let table = try #require(tensors.first { $0.name == "transformer.wte.weight" }).tensor
                return tensors.map { (prefix + $0.name.dropFirst("transformer.".count), $0.tensor) } + [
                    (prefix + "h.0.attn.bias", Tensor(zeros: [1, 1, 24, 24])),
                    (prefix + "h.2.attn.masked_bias", Tensor(zeros: [])), ("lm_head.weight", table),
                ]
            }
            #expect(try BaseModel.quietly(scratch.path).logits([4, 7, 90]) == plain)
        }
    }

    @Test("without or with another kind of config.json is an error") func configuration() throws {
        let scratch = try Scratch()
        #expect(
            complaint(in: "-") { _ = try BaseModel.quietly(scratch.path) }
                == "\(scratch.path): error: this folder has no config.json, so it is no model as transformers saves it")
        try scratch.write(#"{"model_type": "bert"}"#, to: "config.json")
        #expect(
            complaint(in: scratch.path) { _ = try BaseModel.quietly(scratch.path) }
                == "config.json:1:16: error: model_type: 'bert' isn't supported; the supported models are 'gpt2', "
                + "'llama', 'mistral', 'qwen2', 'qwen3', 'gpt_neox', 't5', 'mt5'")
        try scratch.write(#"{"n_layer": 2}"#, to: "config.json")
        #expect(
            complaint(in: scratch.path) { _ = try BaseModel.quietly(scratch.path) }
                == "config.json:1:1: error: model_type: missing: this key is required")
    }
}
