public import Configuration
import Diagnostics
public import Layers

/// P-tuning v2 (Liu et al. 2022): keys and values in front of every layer's own, as in prefix tuning, by default trained
/// without an encoder and thinned out by dropout; for classification together with a head. Its adapters are peft's of
/// prefix tuning.
public struct PTuningV2: PEFTMethod {
    public static let name = "p_tuning_v2"
    public static let learningRate = 1e-2
    public static let adapterType: String? = "PREFIX_TUNING"
    public static let tensorEndings = PrefixTuning.tensorEndings

    private let section: ConfigSection
    private let settings: PrefixSettings
    private let dropout: Float
    private let start: PromptSettings?

    public init(_ section: ConfigSection, startingFrom defaults: PTuningV2?) throws {
        self.section = section
        settings = PrefixSettings(section, defaults: defaults?.settings, method: Self.name)
        dropout = section.probability("prefix_dropout", default: 0.1)
        start = defaults?.settings.prompt
        if let defaults { settings.reportDifferences(from: defaults.settings, section) }
        try section.throwProblems()
    }

    public var leadingPositions: Int { settings.prompt.count }
    public var formObstacle: String? { settings.formObstacle }

    public func check(_ model: any AdaptableModel) throws { try settings.check(model, section, startingFrom: start) }

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        try settings.install(into: model, section, context, startingFrom: start, dropout: dropout)
    }
}
