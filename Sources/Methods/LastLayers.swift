public import Configuration
import Diagnostics
import JSONText
public import Layers
import Tensors

/// Fine-tuning of the model's end: the last k blocks, the final norm and the head; with k = 0 and the head alone, linear
/// probing. Nothing is computed backwards below the lowest of them.
///
/// peft has no such method. The file is a LoRA without layers whose `modules_to_save` holds these modules.
public struct LastLayers: PEFTMethod {
    public static let name = "last_layers"
    public static let learningRate = 2e-4
    public static let adapterType: String? = "LORA"

    /// k
    let layerCount: Int
    let trainsFinalNorm: Bool
    let trainsHead: Bool
    /// The modules that a file names, which its settings are when it is gone on from.
    let paths: [String]?
    let section: ConfigSection

    public init(_ section: ConfigSection, startingFrom defaults: LastLayers?) throws {
        self.section = section
        paths = section.has("peft_type") ? section.optionalStrings("modules_to_save") ?? [] : defaults?.paths
        layerCount = section.int("layers", default: 1, in: 0...)
        trainsFinalNorm = section.bool("final_norm", default: true)
        trainsHead = section.bool("head", default: false)
        if !section.has("peft_type") {
            for key in ["target_modules", "modules_to_save"] {
                section.refuse(key, "isn't for last_layers, which takes the number of blocks by layers")
            }
        }
        if layerCount == 0, !trainsFinalNorm, !trainsHead, paths == nil {
            section.record("0, and neither final_norm nor head: nothing would train", at: "layers")
        }
        try section.throwProblems()
    }

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        let chosen = try paths.map { named(by: $0, in: model) } ?? chosen(in: model)
        try check(model)
        let extras = ExtraParameters(model: model)
        for path in chosen { extras.add(moduleAt: path) { $0.name } }
        let value: JSONValue = [
            "r": 1, "lora_alpha": 1, "target_modules": .string(TargetSelection.noModules),
            "modules_to_save": .array(chosen.map(JSONValue.string)),
        ]
        let settings = try LoRASettings(ConfigDocument(json: JSONNode.parse(value.text(.compact))).root, defaults: nil)
        try extras.takeOver(tracking: context.isTraining)
        return ParameterInstallation(
            extras, settings.adapterConfiguration([], of: model, basePath: context.basePath))
    }

    /// Compares the modules that the settings choose with those of the adapter that training starts from.
    public func check(_ model: any AdaptableModel) throws {
        let keys = ["layers", "final_norm", "head"].filter(section.has)
        guard let paths, let key = keys.first else { return }
        let (mine, others) = (Set(try chosen(in: model)), Set(named(by: paths, in: model)))
        guard mine != others else { return }
        func list(_ paths: Set<String>) -> String { paths.sorted().joined(separator: ", ") }
        throw Problems([
            section.problem(
                "chooses \(list(mine)), but the adapter "
                    + "that init_from names has \(list(others)); leave the setting out", at: key)
        ])
    }

    /// The modules that a file's `modules_to_save` means.
    private func named(by entries: [String], in model: any AdaptableModel) -> [String] {
        entries.flatMap { entry in model.modules.map(\.path).filter { TargetSelection.matches($0, entry) } }
    }

    private func chosen(in model: any AdaptableModel) throws -> [String] {
        var blocks: [String] = []
        var norms: [String] = []
        for module in model.modules {
            let isWithinBlock = blocks.contains { module.path.hasPrefix($0 + ".") }
            switch module.kind {
            case .container where !isWithinBlock && module.path.split(separator: ".").last.flatMap({ Int($0) }) != nil:
                // A decoder's blocks come behind the encoder's, which aren't the model's end.
                if let last = blocks.last, last.stack != module.path.stack { blocks = [] }
                blocks.append(module.path)
                norms = []
            case .norm where !isWithinBlock: norms.append(module.path)
            default: continue
            }
        }
        if layerCount > blocks.count {
            throw Problems([section.problem("the model has only \(blocks.count) blocks", at: "layers")])
        }
        let last: [String] = blocks.suffix(layerCount)
        return last + (trainsFinalNorm ? norms : []) + (trainsHead ? [model.outputLayerPath] : [])
    }
}

extension String {
    /// What stands in front of a block's number.
    fileprivate var stack: Substring { self[..<(lastIndex(of: ".") ?? startIndex)] }
}
