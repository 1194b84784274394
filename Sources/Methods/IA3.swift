public import Configuration
import Diagnostics
import JSONText
public import Layers
import Tensors

/// (IA)³ (Liu et al. 2022, section 3.3): y = act((W x + b) ∘ l) with l [outputs] trained, and y = act(W (x ∘ l) + b) with
/// l [inputs] in the feed-forward modules.
public struct IA3: SelectingMethod {
    public static let name = "ia3"
    public static let learningRate = 8e-3
    public static let adapterType: String? = "IA3"
    public static let tensorEndings = [".ia3_l"]

    let targets: TargetSelection
    /// nil: the model's own default.
    let feedForward: TargetSelection.Modules?
    let modulesToSave: [String]
    let startsAtOne: Bool
    let section: ConfigSection
    let start: [IA3]

    public init(_ section: ConfigSection, startingFrom defaults: IA3?) throws {
        self.section = section
        start = defaults.map { [$0] } ?? []
        targets = TargetSelection(section, defaults: defaults?.targets)
        feedForward = TargetSelection.modules(section, "feedforward_modules") ?? defaults?.feedForward
        modulesToSave = section.optionalStrings("modules_to_save") ?? defaults?.modulesToSave ?? []
        startsAtOne = section.bool("init_ia3_weights", default: defaults?.startsAtOne ?? true)
        try section.throwProblems()
    }

    public func check(_ model: any AdaptableModel) throws { try checkStart(model) }

    func selection(in model: any AdaptableModel) throws -> Selection {
        let traits = try layers(of: model).map { linear, scalesInput in
            (
                linear.path,
                [
                    Selection.Trait(
                        keys: ["feedforward_modules", "target_modules"],
                        text: scalesInput ? "factors of its inputs" : "factors of its outputs")
                ]
            )
        }
        return Selection(
            Dictionary(traits, uniquingKeysWith: { first, _ in first }), modulesToSave: modulesToSave, in: model)
    }

    /// The linear layers that are meant, and whether their inputs are scaled.
    private func layers(of model: any AdaptableModel) throws -> [(linear: Linear, scalesInput: Bool)] {
        let linears = try targets.adaptable(
            of: model, method: Self.name, default: defaultTargets(of: model), modulesToSave: modulesToSave, section)
        let feedForward = feedForward ?? .list(model.defaultTargets.feedForwardOutputs)
        let isFeedForward = try TargetSelection.test(of: feedForward, at: "feedforward_modules", section)
        if section.asksFor("feedforward_modules") {
            let paths = linears.map(\.path)
            let names = lastSegments(of: paths)
            let tail = "; \(guessed(feedForward, names))they are \(names.joined(separator: ", "))"
            var problems: [Problem] = []
            switch feedForward {
            case .list(let entries):
                for entry in entries where !paths.contains(where: { TargetSelection.matches($0, entry) }) {
                    problems.append(
                        section.problem("'\(entry)' isn't among the target_modules" + tail, at: "feedforward_modules"))
                }
            case .expression(let source) where !paths.contains(where: isFeedForward):
                problems.append(
                    section.problem(
                        "the regular expression '\(source)' matches none of the target_modules" + tail,
                        at: "feedforward_modules"))
            case .expression, .allLinear: break
            }
            if !problems.isEmpty { throw Problems(problems) }
        }
        return linears.map { ($0, isFeedForward($0.path)) }
    }

    private func guessed(_ modules: TargetSelection.Modules, _ names: [String]) -> String {
        if case .list(let entries) = modules, entries.count == 1 { guess(entries[0], names) } else { "" }
    }

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        try check(model)
        let layers = try layers(of: model)
        let extras = ExtraParameters(model: model)
        try extras.add(modulesToSave: modulesToSave, section)
        try context.check(
            layers.map { linear, scalesInput in
                (linear.path + ".ia3_l", scalesInput ? [1, linear.inputSize] : [linear.outputSize, 1])
            }, extras)
        let scaled = layers.map { linear, scalesInput in
            IA3Scale(linear, scalesInput: scalesInput, startsAtOne: startsAtOne, seed: context.seed)
        }
        return try LayerAdapters(
            scaled, extras, configuration(scaled, of: model, basePath: context.basePath),
            isTraining: context.isTraining)
    }

    private func defaultTargets(of model: any AdaptableModel) -> [String] {
        model.defaultTargets.rescaled + model.defaultTargets.feedForwardOutputs
    }

    private func configuration(_ scaled: [IA3Scale], of model: any AdaptableModel, basePath: String) -> JSONValue {
        var modules = targets.resolved(scaled.map(\.linear.path), default: defaultTargets(of: model))
        var feedForward = feedForward ?? .list(model.defaultTargets.feedForwardOutputs)
        // peft asks that each entry of the one list is an entry of the other, and knows no layers_to_transform here.
        var isSubset = targets.layers == nil
        if case .list(let entries) = feedForward, case .list(let wanted) = modules {
            isSubset = isSubset && Set(entries).isSubset(of: wanted)
        }
        if !isSubset {
            modules = .list(scaled.map(\.linear.path))
            feedForward = .list(scaled.filter(\.scalesInput).map(\.linear.path))
        }
        return adapterConfiguration(
            type: "IA3", of: model, basePath: basePath,
            [
                .init("exclude_modules", targets.excluded.map { JSONValue($0) } ?? nil),
                .init("fan_in_fan_out", .boolean(scaled.contains { $0.linear.isInputByOutput })),
                .init("feedforward_modules", JSONValue(feedForward)),
                .init("init_ia3_weights", .boolean(startsAtOne)),
                .init("modules_to_save", .names(modulesToSave)),
                .init("target_modules", JSONValue(modules)),
            ])
    }
}

/// The factors of one layer's outputs or inputs.
private final class IA3Scale: MergeableAdapter {
    let linear: Linear
    let scalesInput: Bool
    /// [outputs, 1] or [1, inputs]
    private let l: Tensor

    init(_ linear: Linear, scalesInput: Bool, startsAtOne: Bool, seed: UInt64) {
        self.linear = linear
        self.scalesInput = scalesInput
        l = Tensor(repeating: 1, scalesInput ? [1, linear.inputSize] : [linear.outputSize, 1])
        if !startsAtOne {
            var generator = RandomGenerator(seed: seed, stream: linear.path + ".ia3_l")
            for i in 0..<l.count { l.data[i] = Float(generator.nextNormal()) }
        }
    }

    var tensors: [(suffix: String, tensor: Tensor)] { [("ia3_l", l)] }

    func apply(to product: LinearProduct) -> Tensor {
        if scalesInput {
            return product.completed(input: scaleColumns(product.input, by: l, bias: nil), adding: nil)
        }
        return product.finished(scaleColumns(product.biasedProduct(of: product.input), by: l, bias: nil))
    }

    func merge(weight: Float) {
        func factor(_ i: Int) -> Float { 1 + weight * (l.data[i] - 1) }
        let merged = linear.weight.tensor.copy()
        // The factors follow the columns of what is stored, or its rows.
        let followsColumns = scalesInput != linear.isInputByOutput
        for row in 0..<merged.rowCount {
            for column in 0..<merged.columnCount {
                merged.data[row * merged.columnCount + column] *= factor(followsColumns ? column : row)
            }
        }
        linear.weight.tensor = merged
        guard !scalesInput, let bias = linear.bias else { return }
        let changed = bias.tensor.copy()
        for i in 0..<changed.count { changed.data[i] *= factor(i) }
        bias.tensor = changed
    }
}
