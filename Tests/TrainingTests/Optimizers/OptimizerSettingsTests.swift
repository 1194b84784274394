import Configuration
import Diagnostics
import Foundation
import Methods
import TestSupport
import Testing
import Training

@Suite("The settings of an optimizer") struct OptimizerSettingsTests {
    private func complaint(_ settings: String) -> String {
        do {
            _ = try RunConfiguration(
                .parse(
                    yaml: """
                        model: {path: x}
                        data: {train: x.txt}
                        peft: {method: full}
                        training: {output_dir: x, \(settings)}
                        """), warn: { _ in })
            return "none"
        } catch { return "\(error)" }
    }

    @Test("say where a machine hasn't the memory that what trains needs")
    func memory() {
        func shortage(_ count: Int, _ state: Int, isPaged: Bool = false) -> String? {
            TrainingMemory(trainableCount: count, stateBytes: state, isPaged: isPaged).shortage(available: 16e9)
        }
        #expect(shortage(1_000_000_000, 8_000_000_000) == nil)
        #expect(
            shortage(1_500_000_000, 12_000_000_000)
                == "24.0 GB are needed for what trains and its gradients, 12.0 GB of them for the optimizer's state, and "
                + "this machine has 16.0 GB: adamw_8bit remembers a quarter of AdamW's state, and paged_adamw_8bit on "
                + "the disk")
        #expect(shortage(1_500_000_000, 12_000_000_000, isPaged: true) == nil)
        #expect(
            shortage(3_000_000_000, 6_000_000_000, isPaged: true)
                == "24.0 GB are needed for what trains and its gradients and this machine has 16.0 GB")
    }

    @Test("name every optimizer once") func names() {
        let names = optimizers.flatMap { $0.names }
        #expect(Set(names).count == names.count)
        for name in names {
            let targets = name.hasPrefix("galore") ? ", optim_target_modules: all-linear" : ""
            #expect(complaint("optim: \(name)\(targets)") == "none")
        }
    }

    static let mistakes = [
        (
            "optim: adamw_9bit",
            "4:34: error: training.optim: expected one of adamw_torch, adamw_torch_fused, adamw_8bit, adamw_bnb_8bit, "
                + "paged_adamw_32bit, paged_adamw, paged_adamw_8bit, sgd, adafactor, lion_32bit, paged_lion_32bit, rmsprop, "
                + "rmsprop_bnb, rmsprop_bnb_32bit, adagrad, galore_adamw, got 'adamw_9bit'; did you mean "
                + "'adamw_8bit'?"
        ),
        (
            "optim: galore_adamw",
            "4:11: error: training.optim_target_modules: missing: galore_adamw needs the linear layers whose gradients "
                + "it projects, as names, a regular expression, or all-linear"
        ),
        (
            "optim_target_modules: [c_attn]",
            "4:49: error: training.optim_target_modules: goes with galore_adamw, not with adamw_torch"
        ),
        ("optim_args: rank=4", "4:39: error: training.optim_args: adamw_torch takes none, got 'rank'"),
        (
            "optim_paging_dir: here",
            "4:45: error: training.optim_paging_dir: goes with an optimizer whose state is paged (paged_adamw_32bit, "
                + "paged_adamw_8bit, paged_lion_32bit), not with adamw_torch"
        ),
    ]

    static let plainArguments = [
        ("sgd", "momentum=0.9, nesterov=True", "none"),
        ("sgd", "momentum=1", "momentum must be a number from 0 to less than 1, got '1'"),
        ("sgd", "nesterov=true", "nesterov needs a momentum above 0 and no dampening"),
        ("sgd", "nesterov=maybe,momentum=0.5", "nesterov must be true or false, got 'maybe'"),
        (
            "sgd", "weight_decay=0.1",
            "weight_decay has no effect here, in transformers neither: give it as training.weight_decay"
        ),
        ("sgd", "rank=4", "sgd knows no 'rank'; there are momentum, dampening, nesterov"),
        ("adagrad", "lr_decay=-1", "lr_decay must be a number from 0 on, got '-1'"),
        ("rmsprop", "alpha=0.9, centered=no, eps=1e-6", "none"),
        ("lion_32bit", "beta1=0.9", "lion_32bit takes none, got 'beta1'"),
    ]

    @Test("are those of the optimizer", arguments: plainArguments)
    func ownArguments(name: String, text: String, expected: String) {
        let found = complaint("optim: \(name), optim_args: '\(text)'")
        let column = 48 + name.count
        #expect(found == (expected == "none" ? "none" : "4:\(column): error: training.optim_args: \(expected)"))
    }

    @Test("of a decay say that LoRA+ has its own")
    func loRAPlusDecay() throws {
        var warnings: [String] = []
        _ = try RunConfiguration(
            .parse(
                yaml: """
                    model: {path: x}
                    data: {train: x.txt}
                    peft: {method: lora}
                    training: {output_dir: x, loraplus_lr_ratio: 4, weight_decay: 0.1}
                    """)
        ) { warnings.append($0.description) }
        #expect(
            warnings == [
                "4:63: warning: training.weight_decay: has no effect with loraplus_lr_ratio, in peft neither: what decays then, "
                    + "and how much, says loraplus_weight_decay"
            ])
    }

    @Test("are refused where they mean nothing", arguments: mistakes)
    func refused(settings: String, text: String) { #expect(complaint(settings) == text) }

    static let argumentTexts = [
        ("rank=4, update_proj_gap = 20,scale=0.5 , proj_type=left", "none"), ("", "none"),
        ("rank=0", "rank must be a whole number from 1 on, got '0'"),
        ("rank=4.5", "rank must be a whole number from 1 on, got '4.5'"),
        ("rank=99999999999999999999", "rank must be a whole number from 1 on, got '99999999999999999999'"),
        ("scale=-1", "scale must be a number above 0, got '-1'"),
        ("scale=inf", "scale must be a number above 0, got 'inf'"),
        ("proj_type=up", "proj_type must be one of std, reverse_std, right, left, full, got 'up'"),
        ("rnk=4", "galore_adamw knows no 'rnk'; there are rank, update_proj_gap, scale, proj_type"),
        ("rank=4,rank=5", "has 'rank' twice"),
        ("rank", "expected settings such as rank=128 with commas between them, got 'rank'"),
        ("rank=4,", "expected settings such as rank=128 with commas between them, got ''"),
    ]

    @Test("are read from optim_args as transformers reads them", arguments: argumentTexts)
    func arguments(text: String, expected: String) {
        let found = complaint("optim: galore_adamw, optim_target_modules: all-linear, optim_args: '\(text)'")
        #expect(found == (expected == "none" ? "none" : "4:94: error: training.optim_args: \(expected)"))
    }

    static let targetTexts: [(String, String, String?)] = [
        ("full", "[attn, 'transformer.h.[01].mlp.c_fc']", nil),
        (
            "full", "[c_atn]",
            "'c_atn' matches no linear layer; did you mean 'c_attn'? the model has the linear layers c_attn, c_proj, c_fc"
        ),
        (
            "full", "[wte, lm_head]",
            "'wte' matches no linear layer; the model has the linear layers c_attn, c_proj, c_fc\n"
                + "'lm_head' matches no linear layer; the model has the linear layers c_attn, c_proj, c_fc"
        ),
        (
            "full", "c_attn",
            "the regular expression 'c_attn' matches no linear layer's whole path; the paths are like "
                + "transformer.h.0.attn.c_attn, and the model has the linear layers c_attn, c_proj, c_fc"
        ),
        ("full", "'(c'", "'(c' is no regular expression: "), ("full", "['(c']", "'(c' is no regular expression: "),
        (
            "lora", "all-linear",
            "galore_adamw projects the gradients of linear layers' whole weights, and with method lora none of those "
                + "that are meant here trains: it goes with full"
        ),
        ("last_layers", "all-linear", nil),
    ]

    @Test("name linear layers that the model has and whose weights train", arguments: targetTexts)
    func targets(method: String, targets: String, expected: String?) throws {
        let training = try TinyTraining()
        let failure = training.failure([
            "peft.method=\(method)", "training.optim=galore_adamw", "training.optim_target_modules=\(targets)",
            "training.optim_args=rank=2", "training.max_steps=1",
        ])
        let lines = failure?.split(separator: "\n").map { line in
            line.components(separatedBy: "training.optim_target_modules: ").last ?? ""
        }
        guard let expected else {
            #expect(failure == nil)
            return
        }
        let text = try #require(lines?.joined(separator: "\n"))
        #expect(text == expected || expected.hasSuffix(": ") && text.hasPrefix(expected), "\(text)")
    }
}
