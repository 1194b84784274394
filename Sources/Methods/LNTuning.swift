public import Configuration
import Diagnostics
import JSONText
public import Layers
import Tensors

/// Tuning of the layer norms (Zhao et al. 2023): their weights and biases train, and as peft has it those of any other
/// module that `target_modules` names.
public struct LNTuning: PEFTMethod {
    public static let name = "ln_tuning"
    public static let learningRate = 1e-3
    public static let adapterType: String? = "LN_TUNING"
    public static let tensorEndings = [".ln_tuning_layers.weight", ".ln_tuning_layers.bias"]

    let targets: TargetSelection
    let modulesToSave: [String]
    let section: ConfigSection

    public init(_ section: ConfigSection, startingFrom defaults: LNTuning?) throws {
        self.section = section
        targets = TargetSelection(section, defaults: defaults?.targets)
        modulesToSave = section.optionalStrings("modules_to_save") ?? defaults?.modulesToSave ?? []
        if let defaults, defaults.targets != targets || defaults.modulesToSave != modulesToSave {
            section.record(
                "differs from the adapter that init_from names; leave it out",
                at: defaults.targets != targets ? "target_modules" : "modules_to_save")
        }
        try section.throwProblems()
    }

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        // As peft has it: what trains as a whole gets no copy beside that.
        let paths = try targets.paths(
            of: model, method: Self.name, default: model.defaultTargets.norms, section
        ).filter { path in
            !modulesToSave.contains { TargetSelection.matches(moduleAt: path, orAbove: $0) }
        }
        if paths.isEmpty {
            throw Problems([section.problem("takes every module that target_modules selects", at: "modules_to_save")])
        }
        let extras = ExtraParameters(model: model)
        try extras.add(modulesToSave: modulesToSave, section)
        for path in paths {
            extras.add(moduleAt: path) { path + ".ln_tuning_layers" + $0.name.dropFirst(path.count) }
        }
        extras.takeOver(tracking: context.isTraining)
        // peft has no layers_to_transform here, so what was selected by it is written out.
        let entries =
            targets.layers == nil
            ? targets.resolved(paths, default: model.defaultTargets.norms) : .list(paths)
        return ParameterInstallation(
            extras,
            adapterConfiguration(
                type: "LN_TUNING", basePath: context.basePath,
                [
                    .init("exclude_modules", targets.excluded.map { JSONValue($0) } ?? nil),
                    .init("modules_to_save", .names(modulesToSave)),
                    .init("target_modules", JSONValue(entries)),
                ]))
    }
}
