import Configuration
import JSONText
import Layers
import Models
import Testing

@Suite("GPT-2's config.json") struct GPT2ConfigurationTests {
    private func model(_ members: String) throws -> GPT2 {
        let text = #"{"vocab_size": 5, "n_positions": 4, "n_embd": 6, "n_layer": 1, "n_head": 2\#(members)}"#
        return try GPT2(
            configuration: ConfigDocument(json: JSONNode.parse(text)).root, source: RandomParameters(seed: 1))
    }

    @Test("gives the sizes, and takes transformers' defaults for what it leaves out")
    func sizes() throws {
        let small = try model("")
        #expect(small.vocabularySize == 5 && small.maximumLength == 4)
        #expect(small.isHeadTied && small.endOfTextIDs.isEmpty)
        #expect(small.parameters.first { $0.name == "transformer.h.0.mlp.c_fc.weight" }?.shape == [6, 24])
        let other = try model(#", "n_inner": 7, "tie_word_embeddings": false, "eos_token_id": 3"#)
        #expect(!other.isHeadTied && other.endOfTextIDs == [3])
        #expect(other.parameters.first { $0.name == "transformer.h.0.mlp.c_fc.weight" }?.shape == [6, 7])
        #expect(other.parameters.last?.name == "lm_head.weight")
    }

    @Test("has parameters by transformers' names, in the order of the model")
    func names() throws {
        let block = [
            "ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight",
            "attn.c_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight",
            "mlp.c_proj.bias",
        ]
        #expect(
            try model("").parameters.map(\.name) == ["transformer.wte.weight", "transformer.wpe.weight"]
                + block.map { "transformer.h.0." + $0 } + ["transformer.ln_f.weight", "transformer.ln_f.bias"])
    }

    static let errors: [(members: String, text: String)] = [
        (
            #", "activation_function": "prelu""#,
            "1:100: error: activation_function: expected one of gelu_new, gelu, gelu_pytorch_tanh, gelu_python_tanh, "
                + "gelu_fast, gelu_accurate, gelu_python, gelu_10, quick_gelu, relu, relu6, relu2, leaky_relu, silu, "
                + "swish, hardswish, mish, tanh, sigmoid, laplace, linear, got 'prelu'; did you mean 'relu'?"
        ),
        (
            #", "quantization_config": {"bits": 4}"#,
            "1:100: error: quantization_config: says nothing of how the model is quantized: bitsandbytes' 4 and 8 bits are "
                + "supported (load_in_4bit, load_in_8bit); save the model unquantized"
        ),
        (
            #", "quantization_config": {"quant_method": "gptq", "bits": 4}"#,
            "1:100: error: quantization_config: quantization by 'gptq' isn't supported: bitsandbytes' 4 and 8 bits are "
                + "supported (load_in_4bit, load_in_8bit); save the model unquantized"
        ),
        (
            #", "n_inner": "wide", "layer_norm_epsilon": -1, "scale_attn_weights": 1, "attn_pdrop": 1"#,
            """
            1:88: error: n_inner: expected an integer, got 'wide'
            1:118: error: layer_norm_epsilon: must be between 0.0 and 1.0, got -1
            1:161: error: attn_pdrop: must be at least 0.0 and less than 1.0, got 1
            1:144: error: scale_attn_weights: expected true or false, got 1
            """
        ),
        (
            #", "n_inner": 4611686018427387904"#,
            "1:88: error: n_inner: must be between 1 and 16777216, got 4611686018427387904"
        ),
    ]

    @Test("that isn't supported is an error that says where and why", arguments: errors)
    func unsupported(_ members: String, text: String) {
        #expect(complaint { _ = try model(members) } == text)
    }

    @Test("whose sizes don't fit together, or are no sizes, is one error for all of them")
    func sizesAtOdds() throws {
        func load(_ text: String) throws {
            _ = try GPT2(
                configuration: ConfigDocument(json: JSONNode.parse(text)).root, source: RandomParameters(seed: 1))
        }
        #expect(
            complaint { try load(#"{"n_embd": 10, "n_head": 3}"#) }
                == "1:26: error: n_head: 3 heads don't divide the width n_embd of 10")
        #expect(
            complaint { try load(#"{"n_embd": 99999999999999, "n_head": 0, "n_layer": 1000000000}"#) } == """
                1:12: error: n_embd: must be between 1 and 16777216, got 99999999999999
                1:52: error: n_layer: must be between 0 and 4096, got 1000000000
                1:38: error: n_head: must be between 1 and 16777216, got 0
                """)
    }
}

/// What `body` complains about.
func complaint(_ body: () throws -> Void) -> String {
    do {
        try body()
        return "no error"
    } catch {
        return "\(error)"
    }
}
