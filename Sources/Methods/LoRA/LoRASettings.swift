import Configuration
import Diagnostics
import JSONText
import Layers

/// LoRA's settings, by peft's names, from a run's configuration or from an adapter's file.
struct LoRASettings: Equatable {
    /// Which biases of the model train beside the adapter.
    enum Bias: String, CaseIterable {
        case none, all
        case loraOnly = "lora_only"
    }

    var rank: Int
    var alpha: Double
    var dropout: Float
    var targets: TargetSelection
    var bias: Bias
    var modulesToSave: [String]
    /// Divides alpha by √rank instead of rank (Kalajdzievski 2023).
    var isRankStabilised: Bool
    /// Ranks and alphas of their own for some modules: regular expressions for the end of a path, the first one wins.
    var rankPattern: [Pattern<Int>]
    var alphaPattern: [Pattern<Double>]
    var initialization: LoRAInitialization
    /// Where `initialization` is that.
    var loftQ: LoftQSettings?
    /// Trains the length of each output's weights beside their direction (Liu et al. 2024).
    var hasMagnitude: Bool
    /// Gives B a bias.
    var hasBias: Bool
    /// Rows of embeddings that train on their own; without a name of the token embedding.
    var tokenRows: [TokenRowChoice]

    struct TokenRowChoice: Equatable {
        let module: String?
        let indices: [Int]
    }

    /// Parameters that peft adapts without a module, which isn't supported; nothing where the model has none of them.
    var targetParameters: [String]

    init(_ section: ConfigSection, defaults: LoRASettings?) throws {
        rank = section.int("r", default: defaults?.rank ?? 8, in: 1...)
        alpha = section.double("lora_alpha", default: defaults?.alpha ?? 8)
        dropout = section.probability("lora_dropout", default: Double(defaults?.dropout ?? 0))
        targets = TargetSelection(section, defaults: defaults?.targets)
        bias = section.choice("bias", default: defaults?.bias ?? .none)
        modulesToSave = section.optionalStrings("modules_to_save") ?? defaults?.modulesToSave ?? []
        isRankStabilised = section.bool("use_rslora", default: defaults?.isRankStabilised ?? false)
        let (ranks, alphas) = (section.rankPattern("rank_pattern"), section.alphaPattern("alpha_pattern"))
        rankPattern = ranks.isEmpty ? defaults?.rankPattern ?? [] : ranks
        alphaPattern = alphas.isEmpty ? defaults?.alphaPattern ?? [] : alphas
        initialization = Self.initialization(section, defaults) ?? defaults?.initialization ?? .standard
        if initialization == .loftq {
            loftQ = LoftQSettings(section, defaults: defaults?.loftQ)
        } else if !section.isAdapterFile {
            section.refuse("loftq_config", "does nothing without init_lora_weights: loftq")
        }
        hasMagnitude = section.bool("use_dora", default: defaults?.hasMagnitude ?? false)
        hasBias = section.bool("lora_bias", default: defaults?.hasBias ?? false)
        tokenRows = Self.tokenRows(section) ?? defaults?.tokenRows ?? []
        targetParameters = section.isAdapterFile ? section.optionalStrings("target_parameters") ?? [] : []
        if hasBias, hasMagnitude { section.record("doesn't go with use_dora", at: "lora_bias") }
        if hasBias, initialization != .standard, initialization != .random {
            section.record("doesn't go with init_lora_weights '\(initialization.rawValue)'", at: "lora_bias")
        }
        Self.refuseUnsupported(section)
        try section.throwProblems()
    }

    /// Fields of peft that this tool doesn't compute, which are harmless only while they are off.
    private static let unsupported = [
        "alora_invocation_tokens", "arrow_config", "ensure_weight_tying", "kasa_config", "layer_replication",
        "monteclora_config", "target_parameters", "use_bdlora", "use_qalora", "velora_config",
    ]

    /// The beginning that a run asks for, or that an adapter's file says it had.
    private static func initialization(
        _ section: ConfigSection, _ defaults: LoRASettings?
    ) -> LoRAInitialization? {
        let key = "init_lora_weights"
        // Only files know their method by peft's word.
        guard section.has("peft_type") else {
            return section.choice(key, default: defaults?.initialization ?? .standard)
        }
        guard case .scalar(let word, _)? = section.node(key)?.content else { return nil }
        if let known = LoRAInitialization(rawValue: word) { return known }
        // These begin with A and B alone, which the file holds as they became.
        if ["eva", "mica"].contains(word) { return .standard }
        section.record(
            "'\(word)' changed the base model's weights too, in a way that can't be repeated from them; convert the "
                + "adapter in peft (path_initial_model_for_weight_conversion) before it is used here", at: key)
        return nil
    }

    private static func tokenRows(_ section: ConfigSection) -> [TokenRowChoice]? {
        let key = "trainable_token_indices"
        func choice(_ module: String?, _ indices: [Int]) -> TokenRowChoice {
            if Set(indices).count != indices.count { section.record("names a row more than once", at: key) }
            return TokenRowChoice(module: module, indices: indices)
        }
        if section.isSection(key) {
            let modules = section.section(key)
            return modules.keys.sorted().map { choice($0, modules.optionalInts($0, in: 0...) ?? []) }
        }
        guard let indices = section.optionalInts(key, in: 0...) else { return nil }
        return indices.isEmpty ? [] : [choice(nil, indices)]
    }

    private static func refuseUnsupported(_ section: ConfigSection) {
        for key in unsupported where section.has(key) && !(key == "target_parameters" && section.isAdapterFile) {
            switch section.node(key)?.content {
            case .scalar("false", _)?, .list([])?, .mapping([])?, .null?, nil: continue
            default: section.record("isn't supported", at: key)
            }
        }
    }

    /// Reports what differs from the adapter that training starts from as far as that shows without the model; dropout may,
    /// and what the adapter began with doesn't matter any more.
    func reportDifferences(from start: LoRASettings, _ section: ConfigSection) {
        if rankPattern.isEmpty, start.rankPattern.isEmpty { section.compare("r", rank, with: start.rank) }
        if alphaPattern.isEmpty, start.alphaPattern.isEmpty { section.compare("lora_alpha", alpha, with: start.alpha) }
        section.compare("bias", bias.rawValue, with: start.bias.rawValue)
        section.compare("use_rslora", isRankStabilised, with: start.isRankStabilised)
        if initialization.changesBase || start.initialization.changesBase {
            section.compare("init_lora_weights", initialization.rawValue, with: start.initialization.rawValue)
        }
        if let loftQ, let other = start.loftQ { loftQ.reportDifferences(from: other, section) }
        section.compare("use_dora", hasMagnitude, with: start.hasMagnitude)
        section.compare("lora_bias", hasBias, with: start.hasBias)
    }
}
