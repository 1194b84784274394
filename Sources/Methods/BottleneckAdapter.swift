public import Configuration
import Diagnostics
import JSONText
public import Layers
import Tensors

/// Bottleneck adapters: A(x) = s · (W_up act(W_down x + b_down) + b_up), with W_down [size, width] and W_up [width, size],
/// at the ends of the sub-layers, whose output f joins the residual stream h.
///
/// Houlsby et al. (2019): h + f + A(f), after attention and feed-forward. Pfeiffer et al. (2021): h + f + A(h + f), after
/// feed-forward. Parallel (He et al. 2022): h + f + A(h), beside feed-forward. In AdapterHub's files and by its names.
public struct BottleneckAdapter: SelectingMethod {
    public static let name = "adapter"
    public static let learningRate = 1e-3
    public static let adapterType: String? = "BOTTLENECK"
    public static let library = "adapters"

    let settings: BottleneckSettings
    let section: ConfigSection
    let start: [BottleneckAdapter]

    public init(_ section: ConfigSection, startingFrom defaults: BottleneckAdapter?) throws {
        self.section = section
        start = defaults.map { [$0] } ?? []
        settings = BottleneckSettings(section, defaults: defaults?.settings)
        if let defaults { settings.reportDifferences(from: defaults.settings, section) }
        try section.throwProblems()
    }

    public func check(_ model: any AdaptableModel) throws {
        try checkStart(
            model, keys: ["mh_adapter", "cross_adapter", "output_adapter", "leave_out", "variant"])
    }

    func selection(in model: any AdaptableModel) throws -> Selection {
        let traits = try joins(of: model).map { join in
            let size = try settings.size(width: join.width, layer: join.layer, isNew: false, section)
            return (
                join.adapterPath,
                [Selection.Trait(keys: ["size", "reduction_factor", "variant"], text: "the size \(size)")]
            )
        }
        return Selection(Dictionary(traits, uniquingKeysWith: { first, _ in first }), modulesToSave: [], in: model)
    }

    /// The ends of sub-layers that get an adapter.
    private func joins(of model: any AdaptableModel) throws -> [ResidualJoin] {
        let joins = model.joins
        let layers = Set(joins.map(\.layer))
        for (key, numbers) in [("leave_out", settings.leftOut), ("reduction_factor", settings.factors.keys.sorted())]
        where section.asksFor(key) {
            if let missing = numbers.first(where: { !layers.contains($0) }) {
                throw Problems([
                    section.problem(
                        "there is no layer \(missing); the layers are 0 to \(layers.max() ?? 0)", at: key)
                ])
            }
        }
        if settings.isAfterSourceAttention, section.asksFor("cross_adapter"),
            !joins.contains(where: { $0.subLayer == .sourceAttention })
        {
            throw Problems([
                section.problem("the model has no encoder that its layers could attend to", at: "cross_adapter")
            ])
        }
        let width = joins.first?.width ?? 0
        if let expected = settings.width, expected != width {
            throw Problems([
                section.problem(
                    "the adapter was made for a model of the width \(expected), and this one has \(width)",
                    at: "hidden_size")
            ])
        }
        let chosen = joins.filter { join in
            let isWanted =
                switch join.subLayer {
                case .attention: settings.isAfterAttention
                case .sourceAttention: settings.isAfterSourceAttention
                case .feedForward: settings.isAfterFeedForward
                }
            return isWanted && !settings.leftOut.contains(join.layer)
        }
        if chosen.isEmpty {
            throw Problems([section.problem("leaves no layer where an adapter would be", at: "leave_out")])
        }
        return chosen
    }

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        try check(model)
        let chosen = try joins(of: model)
        let width = chosen.first?.width ?? 0
        let isNew = context.isTraining && context.stored == nil
        let sizes = try chosen.map { join in
            try settings.size(width: join.width, layer: join.layer, isNew: isNew, section)
        }
        if isNew {
            let count = zip(chosen, sizes).reduce(0.0) { $0 + 2 * Double($1.0.width + 1) * Double($1.1) }
            try section.checkMemory(count, at: section.has("size") ? "size" : "reduction_factor")
        }
        var checked = context
        if model.taskHead == nil { checked.stored?.optional.insert(model.outputLayerPath + ".weight") }
        try checked.check(
            zip(chosen, sizes).flatMap { Bottleneck.layout($0, size: $1, settings.scaling) },
            ExtraParameters(model: model))
        let bottlenecks = zip(chosen, sizes).map { join, size in
            Bottleneck(join, size: size, settings, seed: context.beginningSeed)
        }
        return BottleneckInstallation(
            bottlenecks, ExtraParameters(model: model),
            settings.configuration(of: model, width: width, basePath: context.basePath),
            vocabularyHead: (model.outputLayerPath + ".weight", model.taskHead == nil ? model.headWeight : nil),
            isTraining: context.isTraining)
    }
}

extension AdaptableModel {
    /// The weight of the output layer.
    fileprivate var headWeight: Parameter? {
        isHeadTied ? tokenEmbedding : parameters.first { $0.name == outputLayerPath + ".weight" }
    }
}

/// The adapter at the end of one sub-layer.
private final class Bottleneck: JoinAdapter {
    let join: ResidualJoin
    private let settings: BottleneckSettings
    /// [size, width], [size], [width, size], [width]
    private let down, downBias, up, upBias: Tensor
    /// s where it is learned: [1], or [width] with one for each column.
    private let learnedScale: Tensor?

    /// What its tensors are named in the file, without the adapter's own name, and their shapes.
    static func layout(
        _ join: ResidualJoin, size: Int, _ scaling: BottleneckSettings.Scaling
    ) -> [(name: String, shape: [Int])] {
        let (path, width) = (join.adapterPath + ".adapters", join.width)
        var layout = [
            (name: path + ".adapter_down.0.weight", shape: [size, width]), (path + ".adapter_down.0.bias", [size]),
            (path + ".adapter_up.weight", [width, size]), (path + ".adapter_up.bias", [width]),
        ]
        switch scaling {
        case .fixed: break
        case .learned: layout.append((path + ".scaling", [1]))
        case .channel: layout.append((path + ".scaling", [width]))
        }
        return layout
    }

    /// - Parameter seed: nil where a file's tensors will take the place of these.
    init(_ join: ResidualJoin, size: Int, _ settings: BottleneckSettings, seed: UInt64?) {
        self.join = join
        self.settings = settings
        let width = join.width
        var generator = seed.map { RandomGenerator(seed: $0, stream: join.adapterPath) }
        (down, up) = settings.start.weights(width: width, size: size, &generator)
        downBias = Tensor(zeros: [size])
        upBias = Tensor(zeros: [width])
        learnedScale =
            switch settings.scaling {
            case .fixed: nil
            case .learned: Tensor(repeating: 1, [1])
            case .channel: Tensor(repeating: 1, [width])
            }
    }

    /// As AdapterHub names them, without the adapter's own name.
    var tensors: [(name: String, tensor: Tensor)] {
        let path = join.adapterPath + ".adapters"
        var tensors = [
            (name: path + ".adapter_down.0.weight", tensor: down), (path + ".adapter_down.0.bias", downBias),
            (path + ".adapter_up.weight", up), (path + ".adapter_up.bias", upBias),
        ]
        if let learnedScale { tensors.append((path + ".scaling", learnedScale)) }
        return tensors
    }

    func join(residual h: Tensor, normalized: Tensor, output f: Tensor, _ context: ForwardContext) -> Tensor {
        func sum(_ a: Tensor, _ b: Tensor) -> Tensor { addResidual(a, b, dropout: nil) }
        let needsSum = settings.joinsAfter || settings.joinsBefore && !settings.isParallel
        let joined = needsSum ? sum(h, f) : nil
        let x = settings.isParallel ? h : settings.joinsBefore ? joined ?? f : f
        // What the adapter's output is added to.
        let rest: Tensor
        if settings.isParallel || settings.keepsOutput || !settings.joinsBefore {
            rest = settings.joinsAfter ? joined ?? f : f
        } else {
            rest = settings.joinsAfter ? sum(joined ?? f, h) : joined ?? f
        }
        return addResidual(rest, transformed(x), dropout: context.dropout(settings.dropout))
    }

    /// A(x).
    private func transformed(_ x: Tensor) -> Tensor {
        let inner = linear(
            x, DenseWeight(down, isInputByOutput: false), bias: downBias, lowRank: nil, activation: settings.activation)
        let outer = linear(
            inner, DenseWeight(up, isInputByOutput: false), bias: upBias, lowRank: nil, activation: nil)
        switch settings.scaling {
        case .fixed(let s):
            return s == 1 ? outer : scaleColumns(outer, by: Tensor(repeating: s, [join.width]), bias: nil)
        case .learned, .channel:
            guard let learnedScale else { return outer }
            if learnedScale.count == join.width, settings.scaling == .channel {
                return scaleColumns(outer, by: learnedScale, bias: nil)
            }
            // The one number as a row of the stream's width.
            let spread = rowProducts(
                learnedScale, Tensor(repeating: 1, [1, join.width]), scale: nil)
            return scaleColumns(outer, by: spread, bias: nil)
        }
    }
}

private final class BottleneckInstallation: Installation {
    private let bottlenecks: [Bottleneck]
    private let frozen: ExtraParameters
    private let configuration: JSONValue
    /// The head of a language model, which AdapterHub stores beside the adapter unless told otherwise.
    private let vocabularyHead: (name: String, weight: Parameter?)

    init(
        _ bottlenecks: [Bottleneck], _ frozen: ExtraParameters, _ configuration: JSONValue,
        vocabularyHead: (name: String, weight: Parameter?), isTraining: Bool
    ) {
        self.vocabularyHead = vocabularyHead
        self.bottlenecks = bottlenecks
        self.frozen = frozen
        self.configuration = configuration
        frozen.freeze()
        for bottleneck in bottlenecks {
            bottleneck.join.adapter = bottleneck
            if isTraining {
                for (_, tensor) in bottleneck.tensors { tensor.track() }
            }
        }
    }

    private var tensors: [(name: String, tensor: Tensor)] { bottlenecks.flatMap(\.tensors) }

    var trainable: [TrainableParameter] {
        tensors.map { TrainableParameter(name: $0.name, tensor: $0.tensor, decays: !$0.name.hasSuffix(".bias")) }
    }

    func deliver() -> Delivery {
        .adapter(
            configuration: configuration, tensors: tensors.map { ("base_model.model." + $0.name, $0.tensor) })
    }

    func load(_ found: [String: Tensor], file: String) throws(Problems) {
        var found = found
        if let weight = vocabularyHead.weight, let stored = found.removeValue(forKey: vocabularyHead.name) {
            guard stored.shape == weight.shape, stored.values == weight.tensor.values else {
                throw Problems([
                    Problem(
                        "the head that is stored beside the adapter isn't the base's own, and only the base's is used here: "
                            + "the adapter was made for another base, or its head was trained", file: file,
                        key: vocabularyHead.name)
                ])
            }
        }
        try loadExactly(found, into: tensors, file: file)
    }

    var mergeObstacle: String? {
        "a bottleneck adapter isn't linear, so no change of the model's weights computes the same"
    }

    func merge(weight: Float) { remove() }

    func remove() {
        for bottleneck in bottlenecks { bottleneck.join.adapter = nil }
        frozen.restore()
    }
}
