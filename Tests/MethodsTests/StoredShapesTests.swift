import Configuration
import Diagnostics
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing

@Suite("A method that is loaded from a file") struct StoredShapesTests {
    /// The settings and tensors that a case delivers.
    private func delivery(_ method: MethodCase) throws -> (settings: String, tensors: [String: Tensor])? {
        let installation = try SmallModel(method).install(method.method, method.settings)
        guard case .adapter(let configuration, let tensors) = installation.deliver() else { return nil }
        let named = tensors.map { name, tensor in
            let prefix = ["base_model.model.", "base_model."].first(where: name.hasPrefix) ?? ""
            return (String(name.dropFirst(prefix.count)), tensor)
        }
        return (configuration.text(.compact), Dictionary(named, uniquingKeysWith: { first, _ in first }))
    }

    private func installation(
        _ method: MethodCase, _ small: SmallModel, _ settings: String, _ tensors: [String: Tensor],
        isTraining: Bool = false
    ) throws -> any Installation {
        var context = InstallationContext(seed: 7, basePath: "base", isTraining: isTraining)
        context.stored = StoredShapes(tensors, file: "file")
        let installation = try make(method.method, section(settings)).install(into: small.model, context)
        do {
            try installation.load(tensors, file: "file")
        } catch {
            installation.remove()
            throw error
        }
        return installation
    }

    @Test("takes what it delivered, and computes the same", arguments: MethodCase.all)
    func roundTrip(_ method: MethodCase) throws {
        guard let (settings, tensors) = try delivery(method), !method.settings.contains("biases") else { return }
        let (first, second) = (try SmallModel(method), try SmallModel(method))
        let trained = try first.install(method.method, method.settings)
        // AdaLoRA and encoders deliver something else than what trains.
        guard !trained.resumesFromTrainingStateAlone else { return }
        _ = try installation(method, second, settings, tensors)
        #expect(relativeDifference(second.logits, first.logits) <= 1e-5)
    }

    @Test("tells what is missing before it makes anything, and leaves the model as it was", arguments: MethodCase.all)
    func missing(_ method: MethodCase) throws {
        guard let (settings, tensors) = try delivery(method) else { return }
        let small = try SmallModel(method)
        let (logits, own) = (small.logits, small.model.parameters.map(\.tensor))
        for name in tensors.keys.sorted() where !name.hasSuffix(".base_layer.weight") {
            var fewer = tensors
            fewer[name] = nil
            let text = complaint { _ = try installation(method, small, settings, fewer).remove() }
            #expect(text.contains("file: error: \(name): is missing"), "\(text)")
        }
        var more = tensors
        more["other.lora_A.weight"] = Tensor(zeros: [1])
        #expect(
            complaint { _ = try installation(method, small, settings, more) }
                == "file: error: other.lora_A.weight: is unexpected: the configuration has no place for it")
        #expect(small.logits == logits && small.model.isHeadTied == method.tied)
        #expect(areIdentical(small.model.parameters.map(\.tensor), own))
    }

    /// Sizes that don't fit into memory, or whose product with another isn't an integer of 64 bits any more.
    static let sizes: [(method: String, settings: String)] = [
        ("lora", #"{"peft_type": "LORA", "r": SIZE}"#),
        ("lora", #"{"peft_type": "LORA", "rank_pattern": {"h.1.attn.c_attn": SIZE}}"#),
        ("lora", #"{"peft_type": "LORA", "r": SIZE, "target_modules": ["wte"]}"#),
        ("lora", #"{"peft_type": "LORA", "r": SIZE, "use_dora": true}"#),
        ("lora", #"{"peft_type": "LORA", "r": SIZE, "init_lora_weights": "orthogonal"}"#),
        ("adalora", #"{"peft_type": "ADALORA", "init_r": SIZE, "target_r": 1}"#),
        ("loha", #"{"peft_type": "LOHA", "r": SIZE}"#),
        ("lokr", #"{"peft_type": "LOKR", "r": SIZE, "rank_pattern": {"h.0.attn.c_attn": 1}}"#),
    ]

    @Test(
        "compares a rank with the file before it takes memory for it", arguments: sizes,
        [1 << 20, 1 << 40, 1 << 59, 1 << 61, Int.max - 1])
    func largeSizes(_ entry: (method: String, settings: String), size: Int) throws {
        let method = try #require(methods.first { $0.name == entry.method })
        let small = try SmallModel()
        var context = InstallationContext(seed: 7, basePath: "base", isTraining: false)
        context.stored = StoredShapes(
            ["transformer.h.0.attn.c_attn.lora_A.weight": Tensor(zeros: [4, 8])], file: "file")
        let text = complaint {
            let settings = try section(entry.settings.replacing("SIZE", with: "\(size)"))
            _ = try make(method, settings).install(into: small.model, context)
        }
        #expect(text.contains("file: error: transformer."), "\(text)")
    }

    @Test("says which rank there can be where a weight's own vectors or columns are asked for")
    func decompositions() throws {
        for word in ["pissa", "olora", "loftq"] {
            let small = try SmallModel(tied: false)
            let text = complaint {
                _ = try small.install(
                    LoRA.self,
                    #"""
                    {"peft_type": "LORA", "r": 9, "target_modules": ["lm_head"], "init_lora_weights": "\#(word)",
                     "loftq_config": {"loftq_bits": 4, "loftq_iter": 1}}
                    """#,
                    isTraining: false)
            }
            #expect(
                text
                    == "1:28: error: r: a rank of 9 is more than lm_head has, whose weight is 11 × 8; give at most 8")
        }
    }

    /// Sizes of a run that no machine has the memory for.
    static let runs: [(method: String, settings: String, text: String)] = [
        (
            "lora", #"{"r": 576460752303423488}"#,
            "1:7: error: r: a rank of 576460752303423488 is more than transformer.h.0.attn.c_attn has, whose weight is "
                + "24 × 8; give at most 8"
        ),
        (
            "lora", #"{"r": 576460752303423488, "target_modules": ["wte"]}"#,
            "1:7: error: r: a rank of 576460752303423488 is more than transformer.wte has, whose weight is 11 × 8; give at "
                + "most 8"
        ),
        (
            "lora", #"{"rank_pattern": {"c_attn": 576460752303423488}}"#,
            "1:18: error: rank_pattern: a rank of 576460752303423488 is more than transformer.h.0.attn.c_attn has, whose "
                + "weight is 24 × 8; give at most 8"
        ),
        (
            "adapter", #"{"size": 576460752303423488}"#,
            "1:10: error: size: must be between 1 and 1048576, got 576460752303423488"
        ),
        (
            "prompt_tuning", #"{"num_virtual_tokens": 576460752303423488}"#,
            "1:24: error: num_virtual_tokens: 576460752303423488 virtual tokens leave no room for a text: the model takes "
                + "16 tokens in all (n_positions)"
        ),
        (
            "p_tuning", #"{"num_virtual_tokens": 2, "encoder_hidden_size": 576460752303423488}"#,
            "1:50: error: encoder_hidden_size: must be between 1 and 1048576, got 576460752303423488"
        ),
    ]

    @Test("asks for no more than there is where a run's settings do", arguments: runs)
    func largeRuns(_ name: String, settings: String, text: String) throws {
        let method = try #require(methods.first { $0.name == name })
        let small = try SmallModel(positions: 16)
        #expect(complaint { _ = try small.install(method, settings) } == text)
    }

    @Test("asks for no more memory than the machine has")
    func memory() throws {
        let small = try SmallModel(positions: 16)
        let text = complaint {
            _ = try small.install(PTuning.self, #"{"num_virtual_tokens": 2, "encoder_hidden_size": 1048576}"#)
        }
        #expect(
            text.hasPrefix("1:50: error: encoder_hidden_size: asks for 8796.0 GB to train in, and this machine has "))
    }

    /// Probabilities that are 1 as numbers of 32 bits.
    static let probabilities = [
        ("lora", "lora_dropout", ""), ("adalora", "lora_dropout", #", "total_step": 9, "init_r": 2, "target_r": 1"#),
        ("loha", "rank_dropout", ""),
        ("lokr", "module_dropout", ""), ("adapter", "dropout", #", "size": 2"#),
        ("p_tuning", "encoder_dropout", #", "num_virtual_tokens": 2, "encoder_reparameterization_type": "LSTM""#),
        ("p_tuning_v2", "prefix_dropout", #", "num_virtual_tokens": 2"#),
    ]

    @Test("takes no probability that rounds to 1", arguments: probabilities)
    func probability(_ name: String, key: String, more: String) throws {
        let method = try #require(methods.first { $0.name == name })
        let small = try SmallModel(positions: 16)
        let text = complaint { _ = try small.install(method, #"{"\#(key)": 0.99999999\#(more)}"#) }
        #expect(
            text == "1:\(key.count + 6): error: \(key): must be less than 1 as a number of 32 bits too, and 0.99999999 "
                + "isn't")
        #expect(complaint { _ = try small.install(method, #"{"\#(key)": 0.9999999\#(more)}"#) } == "no error")
    }

    @Test("takes no alpha beyond the numbers of 32 bits")
    func scale() throws {
        for (name, key) in [("lora", "lora_alpha"), ("loha", "alpha"), ("lokr", "alpha")] {
            let method = try #require(methods.first { $0.name == name })
            let small = try SmallModel()
            #expect(
                complaint { _ = try small.install(method, #"{"\#(key)": 1e300}"#) }
                    == "1:\(key.count + 6): error: \(key): the number 1e+300 is out of range")
        }
    }
}
