import Layers
import Methods
import Models
import Tensors
import Testing

@Suite("An entry of the settings that means nothing in the model") struct DeadEntryTests {
    static let linears = "the linear layers c_attn, c_proj, c_fc, lm_head"
    static let adapted =
        "matches no module that gets an adapter; GUESSthe paths are like transformer.h.0.attn.c_attn, and end in c_attn"

    /// What a run's configuration is told; an adapter's file with the same entries, as peft writes and loads them, is
    /// taken.
    static let entries: [(method: String, settings: String, text: String)] = [
        (
            "lora", #"{"rank_pattern": {"c_attnn": 4}, "alpha_pattern": {"^c_attn": 64}}"#,
            "1:30: error: rank_pattern.c_attnn: " + adapted.replacing("GUESS", with: "did you mean 'c_attn'? ")
                + "\n1:63: error: alpha_pattern.^c_attn: " + adapted.replacing("GUESS", with: "did you mean 'c_attn'? ")
        ),
        (
            "lora", #"{"r": 2, "rank_pattern": {"c_attn": 4, "h.0.attn.c_attn": 3}}"#,
            "1:59: error: rank_pattern.h.0.attn.c_attn: never counts: 'c_attn' stands before it and matches the same "
                + "modules, and the first that fits counts"
        ),
        (
            "lora", #"{"target_modules": ["c_attn", "q_proj"]}"#,
            "1:20: error: target_modules: 'q_proj' matches no module; did you mean 'c_proj'? the model has \(linears) and "
                + "the embeddings wte, wpe"
        ),
        (
            "lora", #"{"target_modules": ["c_attn"], "exclude_modules": "gate.*"}"#,
            "1:51: error: exclude_modules: the regular expression 'gate.*' matches no whole path; the paths are like "
                + "transformer.h.0.attn.c_attn, and the model has \(linears) and the embeddings wte, wpe"
        ),
        (
            "lora", #"{"target_modules": ["c_attn"], "layers_to_transform": [0, 7]}"#,
            "1:55: error: layers_to_transform: there is no layer 7; the layers are 0 to 1"
        ),
        (
            "lora", #"{"target_modules": ["c_attn"], "layers_to_transform": 0, "layers_pattern": ["h", "hh"]}"#,
            "1:76: error: layers_pattern: 'hh' stands before no layer's number; did you mean 'h'? the model has h"
        ),
        (
            "lora", #"{"modules_to_save": ["ln_f", "ln_g"]}"#,
            "1:21: error: modules_to_save: 'ln_g' matches no module; did you mean 'ln_1'? there are MODULES"
        ),
        (
            "adalora", #"{"init_r": 4, "target_r": 2, "total_step": 9, "target_modules": ["c_attn", "gate"]}"#,
            "1:65: error: target_modules: 'gate' matches no module; the model has \(linears)"
        ),
        (
            "ia3", #"{"target_modules": ["c_attn", "mlp.c_proj"], "feedforward_modules": ["mlp.c_proj", "c_fc"]}"#,
            "1:69: error: feedforward_modules: 'c_fc' isn't among the target_modules; they are c_attn, c_proj"
        ),
        (
            "ia3", #"{"target_modules": ["c_attn"], "feedforward_modules": ".*mlp.*"}"#,
            "1:55: error: feedforward_modules: the regular expression '.*mlp.*' matches none of the target_modules; they "
                + "are c_attn"
        ),
        (
            "ln_tuning", #"{"target_modules": ["ln_1", "norm"], "exclude_modules": ["gate"]}"#,
            """
            1:20: error: target_modules: 'norm' matches no module; the model has the modules wte, wpe, ln_1, c_attn, \
            c_proj, ln_2, c_fc, ln_f, lm_head
            1:57: error: exclude_modules: 'gate' matches no module; the model has the modules wte, wpe, ln_1, c_attn, \
            c_proj, ln_2, c_fc, ln_f, lm_head
            """
        ),
        (
            "loha", #"{"r": 2, "rank_pattern": {"c_fc": 3}}"#,
            "1:35: error: rank_pattern.c_fc: " + adapted.replacing("GUESS", with: "")
        ),
        (
            "lokr", #"{"r": 2, "alpha_pattern": {"gate": 3}}"#,
            "1:36: error: alpha_pattern.gate: " + adapted.replacing("GUESS", with: "")
        ),
        (
            "prompt_tuning", #"{"num_virtual_tokens": 2, "modules_to_save": ["heads"]}"#,
            "1:46: error: modules_to_save: 'heads' matches no module; there are MODULES"
        ),
        (
            "bitfit", #"{"modules_to_save": ["heads"]}"#,
            "1:21: error: modules_to_save: 'heads' matches no module; there are MODULES"
        ),
        (
            "adapter", #"{"leave_out": [0, 5]}"#,
            "1:15: error: leave_out: there is no layer 5; the layers are 0 to 1"
        ),
        (
            "adapter", #"{"reduction_factor": {"1": 2, "5": 4, "default": 2}}"#,
            "1:22: error: reduction_factor: there is no layer 5; the layers are 0 to 1"
        ),
        (
            "adapter", #"{"reduction_factor": {"layer1": 2, "default": 2}}"#,
            "1:33: error: reduction_factor.layer1: expected the number of a layer, or default"
        ),
    ]

    @Test("is an error of a run's configuration", arguments: entries)
    func run(_ name: String, settings: String, text: String) throws {
        let method = try #require(methods.first { $0.name == name })
        let small = try SmallModel(tied: true, positions: 16)
        #expect(
            complaint { _ = try small.install(method, settings) }
                == text.replacing("MODULES", with: LoRAErrorTests.modules))
    }

    @Test("doesn't keep an adapter's file from being used, as peft loads it", arguments: entries)
    func file(_ name: String, settings: String, text: String) throws {
        let method = try #require(methods.first { $0.name == name })
        var own = #"{"peft_type": "\#(method.adapterType ?? "")", "# + settings.dropFirst()
        if name == "adapter" {
            own = own.dropLast() + #", "mh_adapter": true, "output_adapter": true, "is_parallel": false, "# + "\n"
            own += #""original_ln_before": true, "original_ln_after": true, "residual_before_ln": true}"#
        }
        let small = try SmallModel(tied: true, positions: 16)
        #expect(complaint { _ = try small.install(method, own, isTraining: false) } == "no error")
    }

    @Test("that asks for parameters of their own is an error only where the model has them")
    func targetParameters() throws {
        func text(_ name: String) throws -> String {
            let small = try SmallModel()
            return complaint {
                _ = try small.install(
                    LoRA.self, #"{"peft_type": "LORA", "target_parameters": ["\#(name)"]}"#, isTraining: false)
            }
        }
        #expect(try text("experts.gate_up_proj") == "no error")
        #expect(
            try text("c_fc.weight")
                == "1:44: error: target_parameters: adapts transformer.h.0.mlp.c_fc.weight itself, which isn't supported"
        )
    }
}
