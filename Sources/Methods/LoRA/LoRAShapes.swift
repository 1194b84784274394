import Configuration
import Diagnostics
import Layers

/// The rank and alpha of one module, and what they make of them.
struct LoRAShape {
    let rank: Int
    let alpha: Double
    /// What B A is multiplied by.
    let scale: Float
}

/// A module as `adapter_config.json` must describe it.
struct AdaptedModule {
    let path: String
    let rank: Int
    let alpha: Double
}

/// The ranks and alphas of all modules of an adapter, checked against the model.
struct LoRAShapes {
    private var shapes: [String: LoRAShape] = [:]

    /// - Throws: `Problems` for settings that don't fit the modules.
    init(
        _ method: LoRA, _ modules: [NamedModule], _ model: any AdaptableModel, _ context: InstallationContext
    ) throws {
        let (settings, section) = (method.settings, method.section)
        let paths = modules.map(\.path)
        let dead =
            section.deadPatterns(settings.rankPattern, at: "rank_pattern", among: paths)
            + section.deadPatterns(settings.alphaPattern, at: "alpha_pattern", among: paths)
        if !dead.isEmpty { throw Problems(dead) }
        for module in modules {
            let ownRank = settings.rankPattern.value(for: module.path)
            let rank = ownRank ?? settings.rank
            let alpha = settings.alphaPattern.value(for: module.path) ?? settings.alpha
            func refuse(_ message: String, at key: String) throws {
                throw Problems([section.problem(message, at: key)])
            }
            // Larger ones waste work, but peft makes them, and what it made is to be used; not where they are singular
            // vectors or columns of the weight, of which there are no more.
            if context.isTraining && context.stored == nil || settings.initialization.changesBase {
                try section.checkRank(rank, of: module, at: ownRank == nil ? "r" : "rank_pattern")
            }
            if case .linear(let linear) = module.kind, linear.isInputByOutput, settings.loftQ?.knowsTransposes == false
            {
                try refuse(
                    "peft takes \(module.path), whose weight is stored as inputs × outputs, for its transpose in 'loftq', "
                        + "so that the adapter doesn't fit the base; train it anew", at: "init_lora_weights")
            }
            if case .linear(let linear) = module.kind, settings.initialization == .olora, linear.isInputByOutput,
                section.has("peft_type")
            {
                try refuse(
                    "peft takes \(module.path), whose weight is stored as inputs × outputs, for its transpose in 'olora', "
                        + "so that the adapter doesn't fit the base; convert it in peft "
                        + "(path_initial_model_for_weight_conversion) before it is used here", at: "init_lora_weights")
            }
            switch (module.kind, settings.initialization) {
            case (.linear, .orthogonal) where rank % 2 != 0:
                try refuse(
                    "'orthogonal' takes an even rank, and \(module.path) has \(rank)", at: "init_lora_weights")
            case (.linear, .pissa), (.linear, .olora), (.linear, .loftq):
                if module.path == model.outputLayerPath, model.isHeadTied {
                    try refuse(
                        "'\(settings.initialization.rawValue)' changes the weight of \(module.path), which is the token "
                            + "embedding too; leave it out of target_modules", at: "init_lora_weights")
                }
            case (.embedding, .loftq):
                try refuse(
                    "'loftq' goes with linear layers, and \(module.path) is an embedding", at: "init_lora_weights")
            default: break
            }
            if case .embedding = module.kind, settings.hasBias {
                try refuse("goes with linear layers, and \(module.path) is an embedding", at: "lora_bias")
            }
            if settings.initialization == .pissa, alpha <= 0 {
                try refuse("'pissa' takes an alpha above 0, and \(module.path) has \(alpha)", at: "init_lora_weights")
            }
            let divisor = settings.isRankStabilised ? Double(rank).squareRoot() : Double(rank)
            let scale = Float(alpha / divisor)
            if !scale.isFinite {
                try refuse("\(alpha) makes a scale that is no number for \(module.path)", at: "lora_alpha")
            }
            shapes[module.path] = LoRAShape(rank: rank, alpha: alpha, scale: scale)
        }
    }

    subscript(_ path: String) -> LoRAShape {
        guard let shape = shapes[path] else { defect("LoRAShapes: no \(path)") }
        return shape
    }
}
