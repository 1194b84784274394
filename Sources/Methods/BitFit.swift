public import Configuration
import Diagnostics
import JSONText
public import Layers
import Tensors

/// Bias-term fine-tuning (Ben Zaken et al. 2022): all biases train or those of some roles, nothing else.
///
/// peft has no such method. The file is a LoRA of rank 1 with `bias: all` whose low-rank part is zero, on one layer that
/// carries it: peft loads it, computes the same, and can train all biases further.
public struct BitFit: SelectingMethod {
    public static let name = "bitfit"
    public static let learningRate = 1e-3
    public static let adapterType: String? = "LORA"

    private static let all = "all"
    private static let words = [all] + BiasRole.allCases.map(\.rawValue)

    /// nil for all biases.
    let roles: [BiasRole]?
    let modulesToSave: [String]
    let section: ConfigSection
    let start: [BitFit]

    public init(_ section: ConfigSection, startingFrom defaults: BitFit?) throws {
        self.section = section
        start = defaults.map { [$0] } ?? []
        let before = defaults.flatMap(\.roles).map { $0.map(\.rawValue) } ?? [Self.all]
        let chosen = section.strings("biases", default: before)
        for word in chosen where !Self.words.contains(word) {
            section.record("expected some of \(Self.words.joined(separator: ", ")), got '\(word)'", at: "biases")
        }
        if chosen.isEmpty { section.record("names no bias, so nothing would train", at: "biases") }
        if !section.has("peft_type") {
            section.refuse("target_modules", "isn't for bitfit, which takes what trains by biases")
        }
        roles = chosen.contains(Self.all) ? nil : chosen.compactMap(BiasRole.init(rawValue:))
        modulesToSave = section.optionalStrings("modules_to_save") ?? defaults?.modulesToSave ?? []
        try section.throwProblems()
    }

    public func check(_ model: any AdaptableModel) throws { try checkStart(model) }

    func selection(in model: any AdaptableModel) throws -> Selection {
        Selection([:], modulesToSave: modulesToSave, in: model)
    }

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        try check(model)
        let carrier = try carrier(in: model)
        let parts = try parts(of: model)
        let settings = try loraSettings(carrier)
        let extras = ExtraParameters(model: model)
        // Before biases, some of which may train only in part, those that a saved module trains as a whole.
        try extras.add(modulesToSave: modulesToSave, section)
        for parameter in model.parameters where parameter.name.hasSuffix(".bias") {
            extras.add(
                parameter, savedName: BitFitInstallation.savedName(parameter, carrier: carrier),
                training: parts[ObjectIdentifier(parameter)] ?? .none)
        }
        try extras.takeOver(tracking: context.isTraining)
        return BitFitInstallation(
            carrier, extras, settings.adapterConfiguration([carrier], of: model, basePath: context.basePath))
    }

    /// How much of each bias trains.
    private func parts(of model: any AdaptableModel) throws -> [ObjectIdentifier: ExtraParameters.Training] {
        var parts: [ObjectIdentifier: ExtraParameters.Training] = [:]
        guard let roles else {
            for parameter in model.parameters where parameter.name.hasSuffix(".bias") {
                parts[ObjectIdentifier(parameter)] = .whole
            }
            return parts
        }
        var ranges: [ObjectIdentifier: [Range<Int>]] = [:]
        for role in roles {
            let found = model.biases(role)
            if found.isEmpty {
                throw Problems([section.problem("the model has no bias of the role '\(role.rawValue)'", at: "biases")])
            }
            for part in found {
                ranges[ObjectIdentifier(part.parameter), default: []].append(
                    part.elements ?? 0..<part.parameter.count)
            }
        }
        for (parameter, ranges) in ranges {
            parts[parameter] = try .elements(joined(ranges))
        }
        return parts
    }

    private func joined(_ ranges: [Range<Int>]) throws -> Range<Int> {
        let sorted = ranges.sorted { $0.lowerBound < $1.lowerBound }
        var whole = sorted[0]
        for range in sorted.dropFirst() {
            if range.lowerBound > whole.upperBound {
                throw Problems([
                    section.problem(
                        "one layer computes queries, keys and values, and these are parts of its bias with others "
                            + "between them: name query, key and value together", at: "biases")
                ])
            }
            whole = whole.lowerBound..<max(whole.upperBound, range.upperBound)
        }
        return whole
    }

    /// The linear layer that the file names as LoRA's target.
    private func carrier(in model: any AdaptableModel) throws -> Linear {
        for module in model.modules {
            guard case .linear(let linear) = module.kind, linear.bias != nil,
                !modulesToSave.contains(where: { TargetSelection.saves(moduleAt: module.path, orAbove: $0) })
            else { continue }
            return linear
        }
        if model.parameters.allSatisfy({ !$0.name.hasSuffix(".bias") }) {
            throw Problems([section.problem("the model has no biases, so nothing would train", at: "biases")])
        }
        throw Problems([section.problem("the model has no linear layer with a bias besides", at: "modules_to_save")])
    }

    private func loraSettings(_ carrier: Linear) throws -> LoRASettings {
        let value: JSONValue = [
            "r": 1, "lora_alpha": 1, "bias": "all", "target_modules": [.string(carrier.path)],
            "modules_to_save": .array(modulesToSave.map(JSONValue.string)),
        ]
        return try LoRASettings(ConfigDocument(json: JSONNode.parse(value.text(.compact))).root, defaults: nil)
    }
}

private final class BitFitInstallation: Installation {
    private let extras: ExtraParameters
    private let configuration: JSONValue
    private let zeros: [(name: String, tensor: Tensor)]

    init(_ carrier: Linear, _ extras: ExtraParameters, _ configuration: JSONValue) {
        self.extras = extras
        self.configuration = configuration
        zeros = [
            (carrier.path + ".lora_A.weight", Tensor(zeros: [1, carrier.inputSize])),
            (carrier.path + ".lora_B.weight", Tensor(zeros: [carrier.outputSize, 1])),
        ]
    }

    static func savedName(_ parameter: Parameter, carrier: Linear) -> String {
        parameter === carrier.bias ? carrier.path + ".base_layer.bias" : parameter.name
    }

    var trainable: [TrainableParameter] { extras.trainable }

    func deliver() -> Delivery {
        .adapter(
            configuration: configuration,
            tensors: (zeros + extras.tensors).map { ("base_model.model." + $0.name, $0.tensor) })
    }

    func load(_ tensors: [String: Tensor], file: String) throws(Problems) {
        let isZero = zeros.contains { name, _ in
            guard let found = tensors[name] else { return true }
            return (0..<found.count).allSatisfy { found.data[$0] == 0 }
        }
        if !isZero {
            throw Problems([
                Problem(
                    "has a low-rank part that isn't zero, so it is an adapter of the method lora and not of bitfit",
                    file: file, key: zeros[1].name)
            ])
        }
        let scratch = zeros.map { ($0.name, $0.tensor.copy()) }
        try loadExactly(tensors, into: scratch + extras.tensors, file: file)
    }

    func merge(weight: Float) { extras.merge(weight: weight) }

    func remove() { extras.restore() }
}
