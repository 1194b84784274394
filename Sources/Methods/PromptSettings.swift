import Configuration
import Diagnostics
import JSONText
import Layers
import Tensors

/// What every method that learns a prompt is set by, under peft's names.
struct PromptSettings: Equatable {
    /// How many virtual tokens there are.
    var count: Int
    /// How many stacks of layers peft counts virtual tokens for: an encoder and a decoder, or one; nil for those that the
    /// model has.
    var submodules: Int?
    var modulesToSave: [String]

    /// Reads the settings; what is wrong is recorded in the section.
    init(_ section: ConfigSection, defaults: PromptSettings?, method: String) {
        if let defaults {
            count = section.int("num_virtual_tokens", default: defaults.count, in: 1...)
        } else {
            count = section.requiredInt("num_virtual_tokens", in: 1...)
        }
        modulesToSave = section.optionalStrings("modules_to_save") ?? defaults?.modulesToSave ?? []
        for key in Self.forLayers where section.has(key) {
            _ = section.node(key)
            section.record("\(method) puts vectors into the sequences and has no target layers: leave it out", at: key)
        }
        submodules = section.optionalInt("num_transformer_submodules", in: 1...2) ?? defaults?.submodules
    }

    /// The rows of a table of virtual tokens as peft has it for a model with an encoder: twice as many as there are tokens,
    /// of which the second half is never read.
    func rowCount(in model: any AdaptableModel) -> Int { count * submoduleCount(of: model.promptShape) }

    func submoduleCount(of shape: PromptShape) -> Int { submodules ?? (shape.encoderLayerCount == nil ? 1 : 2) }

    /// Settings of methods that change layers.
    private static let forLayers = ["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"]

    func reportDifferences(from start: PromptSettings, _ section: ConfigSection) {
        section.compare("num_virtual_tokens", count, with: start.count)
    }

    /// Throws `Problems` where the prompt leaves no room for a text, or was made for a model of other sizes, which
    /// `adapter_config.json` tells.
    ///
    /// - Parameter start: The settings of the adapter that training starts from.
    func check(
        _ model: any AdaptableModel, _ section: ConfigSection, startingFrom start: PromptSettings?, inEveryLayer: Bool
    ) throws {
        let shape = model.promptShape
        var problems: [Problem] = []
        func compare(_ key: String, _ expected: Int, _ name: String) {
            guard section.has(key), let found = section.optionalInt(key), found != expected else { return }
            problems.append(
                section.problem(
                    "the adapter is for a model with \(name) of \(found), and this one has \(expected): they don't belong "
                        + "together", at: key))
        }
        compare(
            "token_dim", inEveryLayer ? shape.heads.keyValueWidth : shape.width,
            inEveryLayer ? "a width of keys" : "a width")
        if submoduleCount(of: shape) == 2, shape.encoderLayerCount == nil {
            problems.append(
                section.problem(
                    "the model has no encoder, so that prompts are for one stack of layers (1)",
                    at: "num_transformer_submodules"))
        }
        if inEveryLayer {
            if shape.layerCount == 0 || shape.encoderLayerCount == 0 {
                problems.append(
                    section.problem(
                        "the model has no layers, so that no prefix has a place", at: "num_virtual_tokens"))
            }
            compare("num_layers", shape.storedLayerCount, "a number of layers")
            compare("num_attention_heads", shape.heads.keyValueCount, "a number of attention heads")
        }
        // One token to read and one to predict must find a place.
        if count > shape.positionCount - 2 {
            problems.append(
                section.problem(
                    "\(count) virtual tokens leave no room for a text: the model takes \(shape.positionCount) tokens in "
                        + "all (\(shape.positionKey))", at: "num_virtual_tokens"))
        }
        if let start {
            problems += Selection([:], modulesToSave: modulesToSave, in: model).problems(
                against: Selection([:], modulesToSave: start.modulesToSave, in: model), section)
        }
        if !problems.isEmpty { throw Problems(problems) }
    }

    /// What every prompt's `adapter_config.json` has, as peft 0.21 writes it, with `own` in its place.
    func adapterConfiguration(
        type: String, for model: any AdaptableModel, basePath: String, _ own: [JSONValue.Member]
    ) -> JSONValue {
        let shape = model.promptShape
        // A prefix is as wide as the keys, and peft counts their heads.
        let isPrefix = type == "PREFIX_TUNING"
        let common: [JSONValue.Member] = [
            .init("auto_mapping", nil),
            .init("base_model_name_or_path", .string(basePath)),
            .init("inference_mode", true),
            .init("modules_to_save", modulesToSave.isEmpty ? nil : .array(modulesToSave.map(JSONValue.string))),
            .init("num_attention_heads", .integer(isPrefix ? shape.heads.keyValueCount : shape.heads.count)),
            .init("num_layers", .integer(shape.storedLayerCount)),
            .init("num_transformer_submodules", .integer(submoduleCount(of: shape))),
            .init("num_virtual_tokens", .integer(count)),
            .init("peft_type", .string(type)),
            .init("peft_version", "0.21.2"),
            .init("revision", nil),
            .init("task_type", .string(model.taskType)),
            .init("token_dim", .integer(isPrefix ? shape.heads.keyValueWidth : shape.width)),
        ]
        return .object((common + own).sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) })
    }
}

extension PromptShape {
    /// The layers that peft counts, those of an encoder where there is one.
    var storedLayerCount: Int { encoderLayerCount ?? layerCount }
}

extension ConfigSection {
    /// Whether this is an adapter's `adapter_config.json` rather than a section of a run.
    var isAdapterFile: Bool { has("peft_type") }
}
