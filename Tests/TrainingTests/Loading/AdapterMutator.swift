import Checkpoints
import Files
import FoundationEssentials
import JSONText
import Methods
import Tensors
import TestSupport
import Training

/// An adapter's two files, about to be broken.
struct MutatedAdapter {
    var configuration: [JSONValue.Member]
    var tensors: [(name: String, values: [Float], shape: [Int])]
    /// Bytes of the configuration that are replaced after it was written.
    var noise: [(place: Int, byte: UInt8)] = []

    func write(to scratch: Scratch) throws {
        try AdapterFolder.write(
            configuration: .object(configuration),
            tensors: tensors.map { OutgoingTensor($0.name, Tensor($0.values, shape: $0.shape), as: .float32) },
            to: scratch.path)
        guard !noise.isEmpty else { return }
        var bytes = Array(try scratch.text("adapter_config.json").utf8)
        for (place, byte) in noise where !bytes.isEmpty { bytes[place % bytes.count] = byte }
        try AtomicFile.write(String(decoding: bytes, as: UTF8.self), to: scratch("adapter_config.json"))
    }
}

/// A reproducible source of broken adapters: the committed ones with changed settings and tensors.
struct AdapterMutator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// SplitMix64 (Steele et al. 2014).
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Adapters of every method, of the small base among the fixtures.
    static func all() throws -> [MutatedAdapter] {
        var adapters: [MutatedAdapter] = []
        for (name, settings) in [
            ("lora", #"{"r": 2, "target_modules": ["c_attn", "wte"], "rank_pattern": {"c_attn": 3}}"#),
            ("lora", #"{"r": 2, "use_dora": true, "bias": "all", "modules_to_save": ["ln_f"]}"#),
            ("lora", #"{"r": 2, "trainable_token_indices": [5, 1], "layers_to_transform": [0, 1]}"#),
            ("lora", #"{"r": 2, "target_modules": ".*\\.(c_attn|c_fc)", "exclude_modules": ["h.1.mlp.c_fc"]}"#),
            ("adalora", #"{"init_r": 3, "target_r": 2, "total_step": 9}"#), ("ia3", "{}"), ("ln_tuning", "{}"),
            ("loha", #"{"r": 2}"#), ("lokr", #"{"r": 2, "decompose_both": true, "decompose_factor": 4}"#),
            ("adapter", #"{"variant": "houlsby", "size": 3}"#), ("bitfit", "{}"), ("last_layers", "{}"),
            ("prompt_tuning", #"{"num_virtual_tokens": 3}"#), ("prefix_tuning", #"{"num_virtual_tokens": 3}"#),
            ("p_tuning", #"{"num_virtual_tokens": 3}"#), ("p_tuning_v2", #"{"num_virtual_tokens": 3}"#),
        ] {
            let base = try BaseModel.quietly(fixture("adapters/base").path())
            var context = InstallationContext(seed: 3, basePath: "base", isTraining: true)
            context.stepCount = 9
            let installation = try method(name, settings).install(into: base.model, context)
            for parameter in installation.trainable {
                for (i, value) in TestSupport.noise(parameter.tensor.count, seed: 5, scale: 0.1).enumerated() {
                    parameter.tensor.data[i] += value
                }
            }
            guard case .adapter(.object(let members), let tensors) = installation.deliver() else { continue }
            adapters.append(
                MutatedAdapter(
                    configuration: members,
                    tensors: tensors.map { ($0.name, $0.tensor.values, $0.tensor.shape) }))
        }
        return adapters
    }

    mutating func next(_ adapter: MutatedAdapter) -> MutatedAdapter {
        var adapter = adapter
        // Some stay as they are, so that both ends are seen.
        for _ in 0..<Int.random(in: 0...2, using: &self) {
            switch Int.random(in: 0..<5, using: &self) {
            case 0, 1: changeSetting(&adapter)
            case 2: addSetting(&adapter)
            case 3: changeTensor(&adapter)
            default:
                if Bool.random(using: &self) {
                    let byte = Array("{}[]\",:\\-+.eE0 \n\0tfnu".utf8).randomElement(using: &self) ?? 0
                    adapter.noise.append((Int.random(in: 0..<4096, using: &self), byte))
                } else {
                    changeTensor(&adapter)
                }
            }
        }
        return adapter
    }

    private mutating func value() -> JSONValue {
        let values: [JSONValue] = [
            nil, true, false, 0, 1, -1, 2, 7, .integer(1 << 31), .integer(1 << 59), .integer(.max), .integer(.min),
            0.5, 0.99999999, -0.0, 1e300, -1e300, 1e-300, "", "c_attn", "all-linear", ".*", "(", "(a*)*b", "[z-a]",
            "^(?!.*lm_head).*c_.*$", #"(\w+)\1"#, "a{20000}", "dummy-target-modules", "LORA", "IA3", "SEQ_CLS", [],
            ["c_attn"], ["q_proj"], ["lm_head", "wte"], ["wte", "wte"], ["h.0"], ["transformer"], [0, 1], [99], [-1],
            [1, 1], .object([]), ["c_attn": 3], ["c_attn": .integer(1 << 60)], ["wte": [1, 2]], ["default": 0.001],
            ["(": 2], ["(a|b|c|d)*": 2], [[]], ["pissa": nil], "pissa", "olora", "orthogonal", "gaussian", "eva",
            "loftq", ["loftq_bits": 4, "loftq_iter": 2], ["loftq_bits": 8, "loftq_iter": 1, "fan_in_fan_out": true],
        ]
        return values.randomElement(using: &self) ?? nil
    }

    private mutating func changeSetting(_ adapter: inout MutatedAdapter) {
        guard let index = adapter.configuration.indices.randomElement(using: &self) else { return }
        if Int.random(in: 0..<6, using: &self) == 0 {
            adapter.configuration.remove(at: index)
        } else {
            adapter.configuration[index].value = value()
        }
    }

    private mutating func addSetting(_ adapter: inout MutatedAdapter) {
        let keys = [
            "alpha", "alpha_pattern", "auto_mapping", "bias", "decompose_factor", "encoder_hidden_size",
            "exclude_modules",
            "feedforward_modules", "init_lora_weights", "init_r", "init_weights", "layers_pattern",
            "layers_to_transform",
            "leave_out", "loftq_config", "lora_alpha", "lora_bias", "lora_dropout", "modules_to_save",
            "num_virtual_tokens",
            "peft_type",
            "prefix_projection", "r", "rank_pattern", "reduction_factor", "scaling", "target_modules", "target_r",
            "task_type", "token_dim", "trainable_token_indices", "use_dora", "use_rslora", "use_something_new",
        ]
        let key = keys.randomElement(using: &self) ?? "r"
        adapter.configuration.removeAll { $0.key == key }
        adapter.configuration.append(.init(key, value()))
    }

    private mutating func changeTensor(_ adapter: inout MutatedAdapter) {
        guard let index = adapter.tensors.indices.randomElement(using: &self) else { return }
        var tensor = adapter.tensors[index]
        switch Int.random(in: 0..<7, using: &self) {
        case 0: adapter.tensors.remove(at: index); return
        case 1: tensor.shape = tensor.shape.reversed()
        case 2: tensor.shape = [tensor.values.count]
        case 3: (tensor.values, tensor.shape) = ([], [0, tensor.shape.last ?? 1])
        case 4:
            tensor.name = tensor.name.replacing(
                ["h.0", "lora_A", "lora_B", "base_model.", "transformer.", "weight"].randomElement(using: &self) ?? "",
                with: ["h.1", "h.99", "lora_B", "v_head", "score", ""].randomElement(using: &self) ?? "")
            if adapter.tensors.contains(where: { $0.name == tensor.name }) || tensor.name.isEmpty { return }
        case 5:
            guard let place = tensor.values.indices.randomElement(using: &self) else { return }
            tensor.values[place] = [.nan, .infinity, 3e38, 0, -0.0].randomElement(using: &self) ?? 0
        default:
            let count = Int.random(in: 0...40, using: &self)
            (tensor.values, tensor.shape) = (TestSupport.noise(count), [count, 1])
        }
        adapter.tensors[index] = tensor
    }
}
