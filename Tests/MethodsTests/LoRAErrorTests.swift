import Layers
import Methods
import Models
import Tensors
import Testing

@Suite("What LoRA can't do") struct LoRAErrorTests {
    static let linears = "the linear layers c_attn, c_proj, c_fc, lm_head and the embeddings wte, wpe"

    static let errors: [(settings: String, text: String)] = [
        (
            #"{"target_modules": ["q_proj"]}"#,
            "1:20: error: target_modules: 'q_proj' matches no module; did you mean 'c_proj'? the model has LINEARS"
        ),
        (
            #"{"target_modules": ["c_attn", "q_proj", "attn"]}"#,
            """
            1:20: error: target_modules: 'q_proj' matches no module; did you mean 'c_proj'? the model has LINEARS
            1:20: error: target_modules: transformer.h.0.attn is no linear layer or embedding, and lora works on those; \
            the model has LINEARS
            1:20: error: target_modules: transformer.h.1.attn is no linear layer or embedding, and lora works on those; \
            the model has LINEARS
            """
        ),
        (
            #"{"target_modules": ["h.1.ln_1"]}"#,
            "1:20: error: target_modules: transformer.h.1.ln_1 is no linear layer or embedding, and lora works on those; "
                + "the model has LINEARS"
        ),
        (
            #"{"target_modules": "c_attn"}"#,
            "1:20: error: target_modules: the regular expression 'c_attn' matches no whole path; the paths are like "
                + "transformer.h.0.attn.c_attn, and the model has LINEARS"
        ),
        (
            #"{"target_modules": ".*c_(fc"}"#,
            "1:20: error: target_modules: '.*c_(fc' is no regular expression: missing ), unterminated "
                + "subpattern at character 5"
        ),
        (
            #"{"target_modules": ".*c_fc", "layers_to_transform": [0]}"#,
            "1:53: error: layers_to_transform: goes with a list of target_modules, not with a regular expression"
        ),
        (
            #"{"layers_to_transform": [1, 5, 7]}"#,
            """
            1:25: error: layers_to_transform: there is no layer 5; the layers are 0 to 1
            1:25: error: layers_to_transform: there is no layer 7; the layers are 0 to 1
            """
        ),
        (
            #"{"target_modules": ["c_fc"], "exclude_modules": ["mlp.c_fc"]}"#,
            "1:20: error: target_modules: together with the other settings selects nothing; the model has LINEARS"
        ),
        (
            #"{"target_modules": ["c_fc"], "exclude_modules": ["gate"]}"#,
            "1:49: error: exclude_modules: 'gate' matches no module; the model has LINEARS"
        ),
        (
            #"{"r": 9}"#,
            "1:7: error: r: a rank of 9 is more than transformer.h.0.attn.c_attn has, whose weight is 24 × 8; "
                + "give at most 8"
        ),
        (
            #"{"modules_to_save": ["lm_head", "norm", "heads"]}"#,
            """
            1:21: error: modules_to_save: 'norm' matches no module; there are MODULES
            1:21: error: modules_to_save: 'heads' matches no module; there are MODULES
            """
        ),
        (
            #"{"target_modules": ["c_fc"], "modules_to_save": ["mlp"]}"#,
            "1:49: error: modules_to_save: takes every layer that target_modules selects"
        ),
        (
            #"""
            {"r": 0, "lora_dropout": 1, "bias": "some", "lora_bias": true, "use_dora": true, "init_lora_weights": "pisa",
            "rank_pattern": {"(": 2}, "alpha_pattern": {"c_fc": "x"}, "kasa_config": {"a": 1}}
            """#,
            """
            1:7: error: r: must be at least 1, got 0
            1:26: error: lora_dropout: must be at least 0.0 and less than 1.0, got 1
            1:37: error: bias: expected one of none, all, lora_only, got 'some'
            1:132: error: rank_pattern.(: is no regular expression: missing ), unterminated subpattern at character 1
            1:162: error: alpha_pattern.c_fc: expected a number, got 'x'
            1:103: error: init_lora_weights: expected one of true, false, gaussian, orthogonal, pissa, olora, loftq, got 'pisa'; \
            did you mean 'pissa'?
            1:58: error: lora_bias: doesn't go with use_dora
            1:183: error: kasa_config: isn't supported
            """
        ),
        (
            #"{"init_lora_weights": "orthogonal", "r": 3}"#,
            "1:23: error: init_lora_weights: 'orthogonal' takes an even rank, and transformer.h.0.attn.c_attn has 3"
        ),
        (
            #"{"init_lora_weights": "pissa", "lora_alpha": -1}"#,
            "1:23: error: init_lora_weights: 'pissa' takes an alpha above 0, and transformer.h.0.attn.c_attn has -1.0"
        ),
        (
            #"{"init_lora_weights": "olora", "target_modules": ["lm_head"]}"#,
            "1:23: error: init_lora_weights: 'olora' changes the weight of lm_head, which is the token embedding too; "
                + "leave it out of target_modules"
        ),
        (
            #"{"init_lora_weights": "gaussian", "lora_bias": true}"#,
            "1:48: error: lora_bias: doesn't go with init_lora_weights 'gaussian'"
        ),
        (
            #"{"target_modules": ["wte"], "lora_bias": true}"#,
            "1:42: error: lora_bias: goes with linear layers, and transformer.wte is an embedding"
        ),
        (
            #"{"trainable_token_indices": [3, 11]}"#,
            "1:29: error: trainable_token_indices: transformer.wte has no row 11; its rows are 0 to 10"
        ),
        (
            #"{"trainable_token_indices": [3, 4, 3]}"#,
            "1:29: error: trainable_token_indices: names a row more than once"
        ),
        (
            #"{"trainable_token_indices": {"embed_tokens": [3]}}"#,
            "1:29: error: trainable_token_indices: 'embed_tokens' is no embedding; the model has transformer.wte, "
                + "transformer.wpe"
        ),
        (
            #"{"trainable_token_indices": [3], "modules_to_save": ["wte"]}"#,
            "1:29: error: trainable_token_indices: transformer.wte trains as a whole already: it is in modules_to_save"
        ),
        (
            #"{"trainable_token_indices": [3], "target_modules": ["wte"]}"#,
            "1:29: error: trainable_token_indices: transformer.wte has an adapter already: it is in target_modules"
        ),
        (
            #"{"trainable_token_indices": [3], "target_modules": ["lm_head"]}"#,
            "1:29: error: trainable_token_indices: lm_head, which shares the rows, has an adapter already: it is in "
                + "target_modules"
        ),
        (
            #"{"peft_type": "LORA", "init_lora_weights": "loftq"}"#,
            """
            1:1: error: loftq_config.loftq_bits: missing: the base's weights are made anew by it
            1:1: error: loftq_config.loftq_iter: missing: the base's weights are made anew by it
            """
        ),
        (
            #"{"peft_type": "LORA", "init_lora_weights": "corda"}"#,
            "1:44: error: init_lora_weights: 'corda' changed the base model's weights too, in a way that can't be "
                + "repeated from them; convert the adapter in peft (path_initial_model_for_weight_conversion) before it "
                + "is used here"
        ),
        (
            #"""
            {"peft_type": "LORA", "init_lora_weights": "loftq", "loftq_config":
             {"loftq_bits": 4, "loftq_iter": 1, "bnb_4bit_quant_type": "int8", "bnb_4bit_blocksize": 48}}
            """#,
            """
            1:127: error: loftq_config.bnb_4bit_quant_type: expected one of nf4, fp4, got 'int8'
            1:157: error: loftq_config.bnb_4bit_blocksize: blocks have one of 32, 64, 128, 256, 512, 1024, 2048, 4096 \
            elements, got 48
            """
        ),
        (
            #"""
            {"peft_type": "LORA", "init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 4, "loftq_iter": 1}}
            """#,
            "1:44: error: init_lora_weights: peft takes transformer.h.0.attn.c_attn, whose weight is stored as inputs × "
                + "outputs, for its transpose in 'loftq', so that the adapter doesn't fit the base; train it anew"
        ),
        (
            #"{"init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 2, "loftq_iter": 0}, "lora_bias": true}"#,
            """
            1:63: error: loftq_config.loftq_bits: must be 4 (nf4) or 8 (int8), got 2
            1:80: error: loftq_config.loftq_iter: must be between 1 and 1000, got 0
            1:97: error: lora_bias: doesn't go with init_lora_weights 'loftq'
            """
        ),
        (
            #"{"loftq_config": {"loftq_bits": 4}}"#,
            "1:18: error: loftq_config: does nothing without init_lora_weights: loftq"
        ),
        (
            #"{"init_lora_weights": "loftq", "target_modules": ["lm_head"]}"#,
            "1:23: error: init_lora_weights: 'loftq' changes the weight of lm_head, which is the token embedding too; "
                + "leave it out of target_modules"
        ),
        (
            #"{"init_lora_weights": "loftq", "target_modules": ["wte"]}"#,
            "1:23: error: init_lora_weights: 'loftq' goes with linear layers, and transformer.wte is an embedding"
        ),
        (
            #"{"peft_type": "LORA", "init_lora_weights": "olora"}"#,
            "1:44: error: init_lora_weights: peft takes transformer.h.0.attn.c_attn, whose weight is stored as inputs × "
                + "outputs, for its transpose in 'olora', so that the adapter doesn't fit the base; convert it in peft "
                + "(path_initial_model_for_weight_conversion) before it is used here"
        ),
    ]

    static let modules = """
        transformer, transformer.wte, transformer.wpe, transformer.h.0.ln_1, transformer.h.0.attn, \
        transformer.h.0.attn.c_attn, transformer.h.0.attn.c_proj, transformer.h.0.ln_2, transformer.h.0.mlp, \
        transformer.h.0.mlp.c_fc, transformer.h.0.mlp.c_proj, transformer.ln_f, lm_head
        """

    @Test("is an error that says what exists, and leaves the model as it was", arguments: errors)
    func installation(_ settings: String, text: String) throws {
        let small = try SmallModel()
        let (logits, tensors) = (small.logits, small.model.parameters.map(\.tensor))
        #expect(
            complaint { _ = try small.install(LoRA.self, settings) }
                == text.replacing("LINEARS", with: Self.linears).replacing("MODULES", with: Self.modules))
        #expect(small.model.isHeadTied)
        #expect(areIdentical(small.model.parameters.map(\.tensor), tensors))
        #expect(small.logits == logits)
    }
}
