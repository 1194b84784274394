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

    struct Pattern<Value: Equatable>: Equatable {
        let expression: String
        let value: Value
    }

    init(_ section: ConfigSection, defaults: LoRASettings?) throws {
        rank = section.int("r", default: defaults?.rank ?? 8, in: 1...)
        alpha = section.double("lora_alpha", default: defaults?.alpha ?? 8)
        dropout = Float(section.double("lora_dropout", default: Double(defaults?.dropout ?? 0), in: 0..<1))
        targets = TargetSelection(section, defaults: defaults?.targets)
        bias = section.choice("bias", default: defaults?.bias ?? .none)
        modulesToSave = section.optionalStrings("modules_to_save") ?? defaults?.modulesToSave ?? []
        isRankStabilised = section.bool("use_rslora", default: defaults?.isRankStabilised ?? false)
        let ranks = section.section("rank_pattern")
        rankPattern = ranks.keys.map { Pattern(expression: $0, value: ranks.requiredInt($0, in: 1...)) }
        let alphas = section.section("alpha_pattern")
        alphaPattern = alphas.keys.map { Pattern(expression: $0, value: alphas.requiredDouble($0)) }
        try section.throwProblems()
    }
}

extension [LoRASettings.Pattern<Int>] {
    func value(for path: String) throws -> Int? { try first(matching: path)?.value }
}

extension [LoRASettings.Pattern<Double>] {
    func value(for path: String) throws -> Double? { try first(matching: path)?.value }
}

extension Array {
    /// The first pattern that matches the end of a path, at a dot or over the whole of it (peft's `get_pattern_key`).
    fileprivate func first<Value>(matching path: String) throws -> Element?
    where Element == LoRASettings.Pattern<Value> {
        try first { try Regex("(.*\\.)?(\($0.expression))").wholeMatch(in: path) != nil }
    }
}
