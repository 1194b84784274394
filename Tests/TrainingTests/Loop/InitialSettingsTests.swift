import Checkpoints
import JSONText
import Tensors
import TestSupport
import Testing
import Training

/// `init_from` beside settings: those that choose the same go through however they are written.
@Suite("Settings beside the adapter that training starts from") struct InitialSettingsTests {
    private static let still = ["training.learning_rate=0", "training.max_steps=1"]

    /// A method with the settings of its adapter, and others that choose the same.
    static let equal: [(method: String, first: [String], second: [String])] = [
        ("lora", ["target_modules=[c_attn,c_fc]"], ["target_modules=[c_fc,c_attn]"]),
        ("lora", ["target_modules=all-linear"], ["target_modules=all-linear"]),
        ("lora", ["target_modules=all-linear"], ["target_modules=[c_attn,c_proj,c_fc]"]),
        ("lora", ["target_modules=[attn.c_proj,c_attn,c_fc,mlp.c_proj]"], ["target_modules=all-linear"]),
        ("lora", [#"target_modules=.*\.mlp\..*"#], ["target_modules=[mlp.c_proj,c_fc]"]),
        ("lora", ["target_modules=[c_fc]", "layers_to_transform=[1]"], ["layers_to_transform=1"]),
        ("lora", ["target_modules=[c_fc]", "layers_to_transform=1"], [#"target_modules=.*\.1\.mlp\.c_fc"#]),
        ("lora", ["target_modules=[c_proj]", "exclude_modules=[mlp.c_proj]"], ["exclude_modules=.*mlp.*"]),
        ("lora", ["modules_to_save=[ln_f,wpe]"], ["modules_to_save=[wpe,transformer.ln_f]"]),
        ("lora", ["r=4", "rank_pattern={h.0.attn.c_attn: 2}"], ["r=2", "rank_pattern={'h\\.1\\..*': 4}"]),
        ("lora", ["lora_alpha=4"], ["lora_alpha=4.0"]),
        ("lora", ["init_lora_weights=gaussian"], ["init_lora_weights=true"]),
        ("lora", ["trainable_token_indices=[7,3]"], ["trainable_token_indices={wte: [3, 7]}"]),
        (
            "ia3", ["target_modules=[c_attn,mlp.c_proj]"],
            ["target_modules=[mlp.c_proj,c_attn]", "feedforward_modules=.*mlp.*"]
        ),
        (
            "ia3", ["target_modules=[c_attn,mlp.c_proj,c_fc]", "feedforward_modules=[mlp.c_proj,c_fc]"],
            ["feedforward_modules=[c_fc,mlp.c_proj]"]
        ),
        ("ln_tuning", ["target_modules=[ln_1,ln_2,ln_f]"], [#"target_modules=.*\.ln_.*"#]),
        ("loha", ["target_modules=[c_attn,c_fc]", "r=2"], ["target_modules=[c_fc,c_attn]", "rank_pattern={c_fc: 2}"]),
        ("lokr", ["target_modules=[c_attn,c_fc]"], [#"target_modules=.*(c_attn|c_fc)"#]),
        ("adapter", ["variant=houlsby", "reduction_factor=4"], ["variant=houlsby", "size=4"]),
        ("adapter", ["size=8"], ["reduction_factor=2", "leave_out=[]"]),
        ("adapter", ["variant=parallel"], ["variant=parallel", "scaling=4.0"]),
        (
            "prompt_tuning", ["num_virtual_tokens=3", "modules_to_save=[ln_f,wpe]"],
            ["num_virtual_tokens=3", "modules_to_save=[wpe,ln_f]"]
        ),
        ("prefix_tuning", ["num_virtual_tokens=3"], ["num_virtual_tokens=3"]),
        ("bitfit", ["modules_to_save=[ln_f,wpe]"], ["modules_to_save=[wpe,ln_f]"]),
    ]

    @Test("go through where they choose the same", arguments: equal)
    func equalSettings(_ method: String, first: [String], second: [String]) throws {
        let training = try TinyTraining()
        func changes(_ settings: [String]) -> [String] { ["peft.method=\(method)"] + settings.map { "peft.\($0)" } }
        try training.run(changes(first) + ["training.max_steps=1"], into: "first")
        let start = "peft.init_from=\(training.scratch("first"))"
        try training.run(changes(second) + Self.still + [start])
        func tensors(_ folder: String) throws -> [String: [Float]] {
            let adapter = try AdapterFolder(path: training.scratch(folder), warn: { _ in })
            return Dictionary(
                uniqueKeysWithValues: try adapter.entries.map { ($0.path, try adapter.tensor($0).values) })
        }
        #expect(try tensors("run") == tensors("first"))
    }

    /// Settings that choose something else, and what is said of both.
    static let different: [(method: String, first: [String], second: [String], text: String)] = [
        (
            "lora", ["target_modules=[c_attn]"], ["target_modules=[c_fc]"],
            "peft.target_modules: selects transformer.h.0.mlp.c_fc and 1 more, which the adapter that init_from names "
                + "hasn't, and leaves out transformer.h.0.attn.c_attn and 1 more, which the adapter that init_from names "
                + "has; leave it out"
        ),
        (
            "lora", ["r=2"], ["rank_pattern={h.0.attn.c_attn: 4}"],
            "peft.rank_pattern: gives transformer.h.0.attn.c_attn the rank 4, but the adapter that init_from names has the "
                + "rank 2 there; leave it out"
        ),
        (
            "lora", ["r=2"], ["r=3"],
            "peft.r: is 3, but 2 in the adapter that init_from names; leave it out"
        ),
        (
            "lora", ["modules_to_save=[ln_f]"], ["modules_to_save=[wpe]"],
            "peft.modules_to_save: trains transformer.wpe, which the adapter that init_from names hasn't, and leaves out "
                + "transformer.ln_f, which the adapter that init_from names has; leave it out"
        ),
        (
            "lora", ["trainable_token_indices=[3]"], ["trainable_token_indices=[4]"],
            "peft.trainable_token_indices: names the rows [4] of transformer.wte, but the adapter that init_from names has "
                + "[3]; leave it out"
        ),
        (
            "ia3", ["target_modules=[c_attn,c_fc]", "feedforward_modules=[c_fc]"], ["feedforward_modules=[c_attn]"],
            "peft.feedforward_modules: gives transformer.h.0.attn.c_attn factors of its inputs, but the adapter that "
                + "init_from names has factors of its outputs there; leave it out"
        ),
        (
            "adapter", ["size=4"], ["size=2"],
            "peft.size: gives transformer.h.0.output_adapters the size 2, but the adapter that init_from names has the size "
                + "4 there; leave it out"
        ),
        (
            "adapter", ["size=4"], ["size=4", "variant=parallel"],
            """
            peft.variant: makes is_parallel true, but false in the adapter that init_from names; leave it out
            peft.variant: makes original_ln_before false, but true in the adapter that init_from names; leave it out
            peft.variant: makes scaling 4.0, but 1.0 in the adapter that init_from names; leave it out
            """
        ),
        (
            "prompt_tuning", ["num_virtual_tokens=3"], ["num_virtual_tokens=4"],
            "peft.num_virtual_tokens: is 4, but 3 in the adapter that init_from names; leave it out"
        ),
    ]

    @Test("are an error that says both where they choose something else", arguments: different)
    func differentSettings(_ method: String, first: [String], second: [String], text: String) throws {
        let training = try TinyTraining()
        func changes(_ settings: [String]) -> [String] { ["peft.method=\(method)"] + settings.map { "peft.\($0)" } }
        try training.run(changes(first) + ["training.max_steps=1"], into: "first")
        let start = "peft.init_from=\(training.scratch("first"))"
        let found = training.failure(changes(second) + [start]) ?? "no error"
        let lines = found.split(separator: "\n").map { line in
            line.split(separator: "error: ").last.map(String.init) ?? ""
        }
        #expect(lines.joined(separator: "\n") == text)
    }
}
