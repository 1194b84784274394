public import Configuration
import Diagnostics
import JSONText
public import Layers
import Tensors

/// Tuning of the layer norms (Zhao et al. 2023): their weights and biases train, and as peft has it those of any other
/// module that `target_modules` names.
public struct LNTuning: SelectingMethod {
    public static let name = "ln_tuning"
    public static let learningRate = 1e-3
    public static let adapterType: String? = "LN_TUNING"
    public static let tensorEndings = [".ln_tuning_layers.weight", ".ln_tuning_layers.bias"]

    let targets: TargetSelection
    let modulesToSave: [String]
    let section: ConfigSection
    let start: [LNTuning]

    public init(_ section: ConfigSection, startingFrom defaults: LNTuning?) throws {
        self.section = section
        start = defaults.map { [$0] } ?? []
        targets = TargetSelection(section, defaults: defaults?.targets)
        modulesToSave = section.optionalStrings("modules_to_save") ?? defaults?.modulesToSave ?? []
        try section.throwProblems()
    }

    public func check(_ model: any AdaptableModel) throws { try checkStart(model) }

    func selection(in model: any AdaptableModel) throws -> Selection {
        Selection(
            Dictionary(try paths(of: model).map { ($0, []) }, uniquingKeysWith: { first, _ in first }),
            modulesToSave: modulesToSave, in: model)
    }

    private func paths(of model: any AdaptableModel) throws -> [String] {
        // As peft has it: what trains as a whole gets no copy beside that.
        let paths = try targets.paths(
            of: model, method: Self.name, default: model.defaultTargets.norms, section
        ).filter { path in
            !modulesToSave.contains { TargetSelection.saves(moduleAt: path, orAbove: $0) }
        }
        if paths.isEmpty {
            throw Problems([section.problem("takes every module that target_modules selects", at: "modules_to_save")])
        }
        return paths
    }

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        try check(model)
        let paths = try paths(of: model)
        let extras = ExtraParameters(model: model)
        try extras.add(modulesToSave: modulesToSave, section)
        for path in paths {
            extras.add(moduleAt: path) { path + ".ln_tuning_layers" + $0.name.dropFirst(path.count) }
        }
        try context.check([], extras)
        try extras.takeOver(tracking: context.isTraining)
        // peft has no layers_to_transform here, so what was selected by it is written out.
        let entries =
            targets.layers == nil
            ? targets.resolved(paths, default: model.defaultTargets.norms) : .list(paths)
        return ParameterInstallation(
            extras,
            adapterConfiguration(
                type: "LN_TUNING", of: model, basePath: context.basePath,
                [
                    .init("exclude_modules", targets.excluded.map { JSONValue($0) } ?? nil),
                    .init("modules_to_save", .names(modulesToSave)),
                    .init("target_modules", JSONValue(entries)),
                ]))
    }
}
