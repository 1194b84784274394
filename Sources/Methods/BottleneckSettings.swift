import Configuration
import Diagnostics
import JSONText
import Layers
import Tensors

/// The settings of bottleneck adapters, by AdapterHub's names, with the presets of its `DoubleSeqBnConfig` (Houlsby),
/// `SeqBnConfig` (Pfeiffer) and `ParBnConfig` (parallel).
struct BottleneckSettings {
    enum Variant: String, CaseIterable {
        case pfeiffer, houlsby, parallel
    }

    enum Scaling: Equatable {
        case fixed(Float)
        case learned, channel

        var text: String {
            switch self {
            case .fixed(let value): "\(value)"
            case .learned: "learned"
            case .channel: "channel"
            }
        }
    }

    /// How the weights begin; biases are 0.
    enum Start: String, CaseIterable {
        /// N(0, 0.02)
        case bert
        /// He's for the first layer, 0 for the second, so that the adapter begins as nothing.
        case mam = "mam_adapter"
        /// N(0, 0.01), cut off at two deviations.
        case houlsby
    }

    private static let activations: [String: Activation] = [
        "relu": .relu, "swish": .silu, "silu": .silu, "gelu": .gelu, "gelu_new": .geluNew,
        "gelu_pytorch_tanh": .geluPytorchTanh,
    ]

    let isAfterAttention: Bool
    /// Behind a decoder's attention to what its encoder made.
    let isAfterSourceAttention: Bool
    let isAfterFeedForward: Bool
    let isParallel: Bool
    /// Whether the adapter reads h + f (original_ln_before) and not f.
    let joinsBefore: Bool
    /// Whether h is added behind the adapter (original_ln_after).
    let joinsAfter: Bool
    /// Whether f alone goes past the adapter (residual_before_ln), and not what the adapter reads.
    let keepsOutput: Bool
    let nonLinearity: String
    let activation: Activation
    let start: Start
    let scaling: Scaling
    let dropout: Float
    let leftOut: [Int]
    /// The size of the bottleneck, or width / factor.
    private let size: Int?
    private let factor: Double
    /// Factors of some layers.
    private(set) var factors: [Int: Double]
    /// Of a bottleneck, far beyond what is of use.
    private static let largestSize = 1 << 20
    /// The width of the model that a file was made for.
    let width: Int?

    init(_ section: ConfigSection, defaults: BottleneckSettings?) {
        let isFile = section.has("peft_type")
        // Beside an adapter to start from, a variant only counts where it is given.
        let variant: Variant? =
            isFile || defaults != nil && !section.has("variant")
            ? nil : section.choice("variant", default: Variant.pfeiffer)
        let defaults = variant == nil ? defaults : nil
        let isHoulsby = variant == .houlsby
        isAfterAttention = section.optionalBool("mh_adapter") ?? defaults?.isAfterAttention ?? isHoulsby
        isAfterSourceAttention =
            section.optionalBool("cross_adapter") ?? defaults?.isAfterSourceAttention ?? false
        isAfterFeedForward = section.optionalBool("output_adapter") ?? defaults?.isAfterFeedForward ?? true
        isParallel = section.optionalBool("is_parallel") ?? defaults?.isParallel ?? (variant == .parallel)
        joinsBefore = section.optionalBool("original_ln_before") ?? defaults?.joinsBefore ?? (variant == .pfeiffer)
        joinsAfter = section.bool("original_ln_after", default: defaults?.joinsAfter ?? true)
        keepsOutput = section.bool("residual_before_ln", default: defaults?.keepsOutput ?? true)
        let word =
            section.optionalChoice("non_linearity", of: Self.activations.keys.sorted()) ?? defaults?.nonLinearity
            ?? (isHoulsby ? "swish" : "relu")
        nonLinearity = word
        activation = Self.activations[word] ?? .relu
        let ownStart = section.optionalChoice("init_weights", of: Start.allCases.map(\.rawValue))
        start = ownStart.flatMap(Start.init) ?? defaults?.start ?? (variant == .parallel ? .mam : .bert)
        scaling = Self.scaling(section) ?? defaults?.scaling ?? .fixed(variant == .parallel ? 4 : 1)
        dropout = section.probability("dropout", default: Double(defaults?.dropout ?? 0))
        leftOut = section.optionalInts("leave_out", in: 0...) ?? defaults?.leftOut ?? []
        var factors: [Int: Double] = [:]
        var factor: Double?
        if section.isSection("reduction_factor") {
            let own = section.section("reduction_factor")
            for key in own.keys {
                let value = own.requiredDouble(key, in: .leastNonzeroMagnitude...)
                if key == "default" {
                    factor = value
                } else if let layer = Int(key) {
                    factors[layer] = value
                } else if !isFile {
                    own.record("expected the number of a layer, or default", at: key)
                }
            }
        } else {
            factor = section.optionalDouble("reduction_factor", in: .leastNonzeroMagnitude...)
        }
        let ownSize = isFile ? nil : section.optionalInt("size", in: 1...Self.largestSize)
        if ownSize != nil, factor != nil { section.record("goes without reduction_factor", at: "size") }
        size = ownSize ?? (factor == nil ? defaults?.size : nil)
        self.factor = factor ?? defaults?.factor ?? (variant == .parallel ? 2 : 16)
        self.factors = factors.isEmpty ? defaults?.factors ?? [:] : factors
        width = isFile ? section.optionalInt("hidden_size", in: 1...) : defaults?.width
        if section.has("reduction_factor"), self.factors.keys.contains(where: { $0 < 0 }) {
            section.record("a layer's number is at least 0", at: "reduction_factor")
        }
        if !isAfterAttention, !isAfterFeedForward, !isAfterSourceAttention {
            section.record("false, and output_adapter too: nothing would train", at: "mh_adapter")
        }
        if isParallel, joinsBefore {
            section.record("only sequential adapters read h + f; leave it out", at: "original_ln_before")
        }
        section.refuse("target_modules", "isn't for adapter, which sits at the ends of sub-layers")
        if isFile { Self.refuseUnsupported(section) }
    }

    private static func scaling(_ section: ConfigSection) -> Scaling? {
        guard let text = section.optionalString("scaling") else { return nil }
        switch text {
        case "learned": return .learned
        case "channel": return .channel
        default:
            guard let number = Float(text), number.isFinite else {
                section.record("expected a number, learned or channel, got '\(text)'", at: "scaling")
                return nil
            }
            return .fixed(number)
        }
    }

    /// Reports what differs from the adapter that training starts from as far as that shows without the model; dropout may,
    /// and what the adapter began with doesn't matter any more.
    func reportDifferences(from start: BottleneckSettings, _ section: ConfigSection) {
        func compare(_ key: String, _ own: some Equatable, _ other: some Equatable) {
            guard "\(own)" != "\(other)" else { return }
            let place = section.has(key) || !section.has("variant") ? key : "variant"
            let name = place == key ? "is" : "makes \(key)"
            section.record(
                "\(name) \(own), but \(other) in the adapter that init_from names; leave it out", at: place)
        }
        compare("is_parallel", isParallel, start.isParallel)
        compare("original_ln_before", joinsBefore, start.joinsBefore)
        compare("original_ln_after", joinsAfter, start.joinsAfter)
        // What goes past the adapter is h + f in both ways where it reads f or stands beside the sub-layer.
        if joinsBefore, !isParallel { compare("residual_before_ln", keepsOutput, start.keepsOutput) }
        if activation != start.activation { compare("non_linearity", nonLinearity, start.nonLinearity) }
        compare("scaling", scaling.text, start.scaling.text)
    }

    /// What AdapterHub has besides, harmless only while it is off.
    private static func refuseUnsupported(_ section: ConfigSection) {
        for key in ["phm_layer", "ln_before", "ln_after", "use_gating", "inv_adapter"]
        where section.has(key) {
            if case .scalar("false", _)? = section.node(key)?.content { continue }
            section.record("isn't supported", at: key)
        }
        if section.double("stochastic_depth", default: 0) != 0 {
            section.record("isn't supported", at: "stochastic_depth")
        }
    }

    /// The size of a layer's bottleneck.
    ///
    /// - Parameter isNew: Whether no file has it already.
    /// - Throws: `Problems` where nothing is left of it.
    func size(width: Int, layer: Int, isNew: Bool, _ section: ConfigSection) throws -> Int {
        if let size { return size }
        let factor = factors[layer] ?? factor
        let quotient = (Double(width) / factor).rounded(.down)
        if isNew, quotient < 1 {
            throw Problems([
                section.problem(
                    "\(factor) leaves nothing of the width \(width); give at most \(width)", at: "reduction_factor")
            ])
        }
        if quotient > Double(Self.largestSize) {
            throw Problems([section.problem("makes a bottleneck of \(quotient) numbers", at: "reduction_factor")])
        }
        return max(1, Int(quotient))
    }

    /// The configuration in one level, as the tool has it; `AdapterFolder` writes it as AdapterHub does.
    func configuration(of model: any AdaptableModel, width: Int, basePath: String) -> JSONValue {
        // A factor whose quotient, rounded down, is the size.
        let ownFactor =
            size.map { width % $0 == 0 ? Double(width / $0) : Double(width) / (Double($0) + 0.5) } ?? factor
        var reduction = JSONValue.alpha(ownFactor)
        if !factors.isEmpty {
            reduction = .object(
                factors.sorted { $0.key < $1.key }.map { .init("\($0.key)", .alpha($0.value)) }
                    + [.init("default", .alpha(ownFactor))])
        }
        let scale: JSONValue =
            switch scaling {
            case .fixed(let value): .decimal(value)
            case .learned: "learned"
            case .channel: "channel"
            }
        return .object([
            .init("adapter_residual_before_ln", false), .init("base_model_name_or_path", .string(basePath)),
            .init("cross_adapter", .boolean(isAfterSourceAttention)), .init("dropout", .decimal(dropout)),
            .init("factorized_phm_W", true),
            .init("factorized_phm_rule", false), .init("hidden_size", .integer(width)),
            .init("hypercomplex_nonlinearity", "glorot-uniform"), .init("init_weights", .string(start.rawValue)),
            .init("init_weights_seed", nil), .init("inv_adapter", nil), .init("inv_adapter_reduction_factor", nil),
            .init("is_parallel", .boolean(isParallel)), .init("learn_phm", true),
            .init("leave_out", .array(leftOut.map(JSONValue.integer))), .init("ln_after", false),
            .init("ln_before", false), .init("mh_adapter", .boolean(isAfterAttention)),
            .init("model_class", .string(model.transformersClass)), .init("model_name", .string(basePath)),
            .init("non_linearity", .string(nonLinearity)), .init("original_ln_after", .boolean(joinsAfter)),
            .init("original_ln_before", .boolean(joinsBefore)), .init("output_adapter", .boolean(isAfterFeedForward)),
            .init("peft_type", "BOTTLENECK"), .init("phm_bias", true), .init("phm_c_init", "normal"),
            .init("phm_dim", 4), .init("phm_init_range", 0.0001), .init("phm_layer", false), .init("phm_rank", 1),
            .init("reduction_factor", reduction), .init("residual_before_ln", .boolean(keepsOutput)),
            .init("scaling", scale), .init("shared_W_phm", false), .init("shared_phm_rule", true),
            .init("stochastic_depth", 0.0), .init("task_type", .string(model.taskType)), .init("use_gating", false),
            .init("version", "adapters.1.3.0"),
        ])
    }
}

extension BottleneckSettings.Start {
    /// W_down [size, width] and W_up [width, size]; zeros without a generator.
    func weights(width: Int, size: Int, _ generator: inout RandomGenerator?) -> (down: Tensor, up: Tensor) {
        guard var own = generator else { return (Tensor(zeros: [size, width]), Tensor(zeros: [width, size])) }
        defer { generator = own }
        return weights(width: width, size: size, &own)
    }

    private func weights(width: Int, size: Int, _ generator: inout RandomGenerator) -> (down: Tensor, up: Tensor) {
        switch self {
        case .mam: return (kaimingUniform([size, width], &generator), Tensor(zeros: [width, size]))
        case .bert: return (normal([size, width], 0.02, &generator), normal([width, size], 0.02, &generator))
        case .houlsby: return (normal([size, width], 0.01, &generator), normal([width, size], 0.01, &generator))
        }
    }

    private func normal(_ shape: [Int], _ deviation: Double, _ generator: inout RandomGenerator) -> Tensor {
        let tensor = Tensor(uninitialized: shape)
        for i in 0..<tensor.count {
            var value = generator.nextNormal()
            while self == .houlsby && abs(value) > 2 { value = generator.nextNormal() }
            tensor.data[i] = Float(deviation * value)
        }
        return tensor
    }
}
