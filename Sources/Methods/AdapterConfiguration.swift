import JSONText
import Layers

/// `adapter_config.json` with the fields that peft 0.21 writes for every method, and those of one.
func adapterConfiguration(
    type: String, of model: any AdaptableModel, basePath: String, _ fields: [JSONValue.Member]
) -> JSONValue {
    .object(
        [
            .init("auto_mapping", nil),
            .init("base_model_name_or_path", .string(basePath)),
            .init("inference_mode", true),
            .init("peft_type", .string(type)),
            .init("peft_version", "0.21.2"),
            .init("revision", nil),
            .init("task_type", .string(model.taskType)),
        ] + fields)
}

extension JSONValue {
    /// `target_modules` and `exclude_modules` as peft's files hold them.
    init(_ modules: TargetSelection.Modules) {
        switch modules {
        case .list(let entries): self = .array(entries.map(JSONValue.string))
        case .expression(let pattern): self = .string(pattern)
        case .allLinear: self = "all-linear"
        }
    }

    /// An alpha as peft's users write it: 16, and 0.5 where it isn't whole.
    static func alpha(_ value: Double) -> JSONValue { Int(exactly: value).map(JSONValue.integer) ?? .number(value) }

    /// A probability by its shortest digits, which read back as the same float.
    static func decimal(_ value: Float) -> JSONValue { .number(Double(value.description) ?? Double(value)) }

    /// A list of names, or null where there are none.
    static func names(_ names: [String]) -> JSONValue { names.isEmpty ? nil : .array(names.map(JSONValue.string)) }
}
