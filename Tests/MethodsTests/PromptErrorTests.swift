import Layers
import Methods
import Models
import Tensors
import Testing

@Suite("What a learned prompt can't do") struct PromptErrorTests {
    static let errors: [(method: String, settings: String, text: String)] = [
        ("prompt_tuning", "{}", "1:1: error: num_virtual_tokens: missing: this key is required"),
        (
            "prompt_tuning", #"{"num_virtual_tokens": 0}"#,
            "1:24: error: num_virtual_tokens: must be at least 1, got 0"
        ),
        (
            "prompt_tuning", #"{"num_virtual_tokens": 6}"#,
            "1:24: error: num_virtual_tokens: 6 virtual tokens leave no room for a text: the model takes 7 tokens in all "
                + "(n_positions)"
        ),
        (
            "prefix_tuning", #"{"num_virtual_tokens": 7000000}"#,
            "1:24: error: num_virtual_tokens: 7000000 virtual tokens leave no room for a text: the model takes 7 tokens in "
                + "all (n_positions)"
        ),
        (
            "prompt_tuning", #"{"num_virtual_tokens": 2, "target_modules": ["c_attn"]}"#,
            "1:45: error: target_modules: prompt_tuning puts vectors into the sequences and has no target layers: leave it "
                + "out"
        ),
        (
            "prompt_tuning", #"{"num_virtual_tokens": 2, "prompt_tuning_init": "TEXT"}"#,
            "1:1: error: prompt_tuning_init_text: missing: prompt_tuning_init TEXT begins with the tokens of a text"
        ),
        (
            "prompt_tuning", #"{"num_virtual_tokens": 2, "prompt_tuning_init_text": "abc"}"#,
            "1:54: error: prompt_tuning_init_text: goes with prompt_tuning_init: TEXT"
        ),
        (
            "prompt_tuning",
            #"{"num_virtual_tokens": 2, "prompt_tuning_init": "TEXT", "prompt_tuning_init_text": ""}"#,
            "1:84: error: prompt_tuning_init_text: an empty text has no tokens to begin with"
        ),
        (
            "prompt_tuning", #"{"num_virtual_tokens": 2, "prompt_tuning_init": "text"}"#,
            "1:49: error: prompt_tuning_init: expected one of RANDOM, TEXT, SAMPLE_VOCAB, got 'text'; did you mean 'TEXT'?"
        ),
        (
            "prefix_tuning", #"{"num_virtual_tokens": 2, "encoder_hidden_size": 4}"#,
            "1:50: error: encoder_hidden_size: goes with prefix_projection: true"
        ),
        (
            "p_tuning", #"{"num_virtual_tokens": 2, "encoder_num_layers": 1, "encoder_dropout": 0.5}"#,
            """
            1:49: error: encoder_num_layers: goes with encoder_reparameterization_type: LSTM; an MLP has three layers
            1:71: error: encoder_dropout: goes with encoder_reparameterization_type: LSTM; an MLP has three layers
            """
        ),
        (
            "p_tuning_v2", #"{"num_virtual_tokens": 2, "prefix_dropout": 1, "layers_to_transform": [1]}"#,
            """
            1:71: error: layers_to_transform: p_tuning_v2 puts vectors into the sequences and has no target layers: leave \
            it out
            1:45: error: prefix_dropout: must be at least 0.0 and less than 1.0, got 1
            """
        ),
        (
            "prompt_tuning", #"{"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 2, "token_dim": 32}"#,
            "1:70: error: token_dim: the adapter is for a model with a width of 32, and this one has 8: they don't belong "
                + "together"
        ),
        (
            "prefix_tuning",
            #"{"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 2, "num_layers": 3, "num_attention_heads": 4}"#,
            """
            1:71: error: num_layers: the adapter is for a model with a number of layers of 3, and this one has 2: they \
            don't belong together
            1:97: error: num_attention_heads: the adapter is for a model with a number of attention heads of 4, and this \
            one has 2: they don't belong together
            """
        ),
        (
            "prompt_tuning",
            #"{"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 2, "num_transformer_submodules": 2}"#,
            "1:87: error: num_transformer_submodules: the model has no encoder, so that prompts are for one stack of layers (1)"
        ),
        (
            "p_tuning", #"{"num_virtual_tokens": 2, "modules_to_save": ["norm"]}"#,
            "1:46: error: modules_to_save: 'norm' matches no module; there are MODULES"
        ),
    ]

    @Test("is an error that says so, and leaves the model as it was", arguments: errors)
    func installation(_ name: String, settings: String, text: String) throws {
        let method = try #require(methods.first { $0.name == name })
        let small = try SmallModel()
        let (logits, tensors) = (small.logits, small.model.parameters.map(\.tensor))
        #expect(
            complaint { _ = try small.install(method, settings) }
                == text.replacing("MODULES", with: LoRAErrorTests.modules))
        #expect(small.model.prompt == nil)
        #expect(areIdentical(small.model.parameters.map(\.tensor), tensors))
        #expect(small.logits == logits)
    }

    @Test("is to load vectors of another number or width")
    func shapes() throws {
        let small = try SmallModel()
        let installation = try small.install(PromptTuning.self, #"{"num_virtual_tokens": 2}"#, isTraining: false)
        let vectors = ["prompt_embeddings": Tensor(zeros: [3, 8]), "transformer.ln_f.bias": Tensor(zeros: [8])]
        #expect(
            complaint { try installation.load(vectors, file: "a") } == """
                a: error: prompt_embeddings: has shape [3, 8], but [2, 8] is expected
                a: error: transformer.ln_f.bias: is unexpected: the configuration has no place for it
                """)
    }

    @Test("is to go on with other settings than those of the adapter")
    func continuing() throws {
        let start = try PrefixTuning(section(#"{"num_virtual_tokens": 2}"#), startingFrom: nil)
        #expect(
            complaint { _ = try PrefixTuning(section(#"{"num_virtual_tokens": 3}"#), startingFrom: start) }
                == "1:24: error: num_virtual_tokens: is 3, but 2 in the adapter that init_from names; leave it out")
        let trainable = try PrefixTuning(section("{}"), startingFrom: start).install(
            into: SmallModel().model, InstallationContext(seed: 1, basePath: "base", isTraining: true)
        ).trainable
        #expect(trainable.map(\.tensor.shape) == [[2, 32]])
    }
}
