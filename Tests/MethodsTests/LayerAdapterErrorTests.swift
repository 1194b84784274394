import Layers
import Methods
import Models
import Tensors
import Testing

@Suite("What adapters of layers and sub-layers can't do") struct LayerAdapterErrorTests {
    static let complaints: [(method: String, settings: String, text: String)] = [
        (
            "ia3", #"{"target_modules": ["c_attn"], "feedforward_modules": ["c_fc"]}"#,
            "1:55: error: feedforward_modules: 'c_fc' isn't among the target_modules; they are c_attn"
        ),
        (
            "ia3", #"{"target_modules": ["c_attn", "lm_head"]}"#,
            "1:20: error: target_modules: lm_head can't be adapted by ia3: name it in modules_to_save"
        ),
        (
            "ia3", #"{"target_modules": ["c_fc"], "modules_to_save": ["mlp"]}"#,
            "1:49: error: modules_to_save: takes every layer that target_modules selects"
        ),
        (
            "loha", #"{"r": 9}"#,
            "1:7: error: r: a rank of 9 is more than transformer.h.0.attn.c_attn has, whose weight is 24 × 8; "
                + "give at most 8"
        ),
        (
            "loha", #"{"rank_pattern": {"h.1.attn.c_attn": 12}}"#,
            "1:18: error: rank_pattern: a rank of 12 is more than transformer.h.1.attn.c_attn has, whose weight is "
                + "24 × 8; give at most 8"
        ),
        (
            "loha", #"{"init_weights": "lycoris"}"#,
            "1:18: error: init_weights: expected one of true, false, got 'lycoris'"
        ),
        (
            "lokr", #"{"decompose_factor": 0, "r": 0}"#,
            """
            1:22: error: decompose_factor: must be at least 1, or -1 for none, got 0
            1:30: error: r: must be at least 1, got 0
            """
        ),
        (
            "adapter", #"{"reduction_factor": 9}"#,
            "1:22: error: reduction_factor: 9.0 leaves nothing of the width 8; give at most 8"
        ),
        (
            "adapter", #"{"size": 2, "reduction_factor": 2}"#, "1:10: error: size: goes without reduction_factor"
        ),
        (
            "adapter", #"{"size": 2, "leave_out": [0, 5]}"#,
            "1:26: error: leave_out: there is no layer 5; the layers are 0 to 1"
        ),
        (
            "adapter", #"{"size": 2, "leave_out": [0, 1]}"#,
            "1:26: error: leave_out: leaves no layer where an adapter would be"
        ),
        (
            "adapter", #"{"size": 2, "mh_adapter": false, "output_adapter": false}"#,
            "1:27: error: mh_adapter: false, and output_adapter too: nothing would train"
        ),
        (
            "adapter", #"{"size": 2, "target_modules": ["c_fc"], "scaling": "much"}"#,
            """
            1:31: error: target_modules: isn't for adapter, which sits at the ends of sub-layers
            1:52: error: scaling: expected a number, learned or channel, got 'much'
            """
        ),
        (
            "adapter", #"{"variant": "parallel", "original_ln_before": true}"#,
            "1:47: error: original_ln_before: only sequential adapters read h + f; leave it out"
        ),
    ]

    @Test("is an error that says so, and leaves the model as it was", arguments: complaints)
    func errors(_ name: String, settings: String, text: String) throws {
        let method = try #require(methods.first { $0.name == name })
        let small = try SmallModel()
        let (logits, tensors) = (small.logits, small.model.parameters.map(\.tensor))
        let found = complaint { _ = try small.install(method, settings) }.split(separator: "\n").sorted()
        #expect(found == text.split(separator: "\n").sorted())
        #expect(areIdentical(small.model.parameters.map(\.tensor), tensors))
        #expect(small.logits == logits)
    }

    @Test("and an adapter for a model of another width says so")
    func width() throws {
        let text = complaint {
            _ = try SmallModel().install(
                BottleneckAdapter.self,
                #"{"peft_type": "BOTTLENECK", "hidden_size": 768, "mh_adapter": true, "output_adapter": true}"#)
        }
        #expect(
            text == "1:44: error: hidden_size: the adapter was made for a model of the width 768, and this one has 8")
    }
}
