public import Configuration
import Diagnostics
import JSONText
public import Layers
import Tensors

/// Low-rank adaptation (Hu et al. 2021, section 4.1): y = W x + s · B A drop(x), with A [r, inputs] and B [outputs, r]
/// trained, W frozen, and s = alpha / r.
public struct LoRA: PEFTMethod {
    public static let name = "lora"
    public static let adapterType: String? = "LORA"

    let settings: LoRASettings
    let section: ConfigSection

    public init(_ section: ConfigSection, startingFrom defaults: LoRA?) throws {
        self.section = section
        settings = try LoRASettings(section, defaults: defaults?.settings)
        if let defaults {
            settings.reportDifferences(from: defaults.settings, section)
            try section.throwProblems()
        }
    }

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        if settings.targets.isNone {
            // A task's head may be all that such a file holds.
            if settings.modulesToSave.isEmpty, settings.bias == .none, context.isTraining {
                throw Problems([section.problem("selects nothing, and nothing else is to train", at: "target_modules")])
            }
            return try LoRAInstallation(self, [], model, context)
        }
        let selected = try settings.targets.linears(of: model, method: Self.name, section)
        // As peft has it: what trains as a whole gets no low-rank term beside that.
        let linears = selected.filter { linear in
            !settings.modulesToSave.contains { TargetSelection.matches(moduleAt: linear.path, orAbove: $0) }
        }
        if linears.isEmpty {
            throw Problems([
                section.problem("takes every layer that target_modules selects", at: "modules_to_save")
            ])
        }
        if let output = linears.first(where: { $0.path == model.outputLayerPath }) {
            throw Problems([
                section.problem(
                    "\(output.path) can't be adapted by lora: name it in modules_to_save", at: "target_modules")
            ])
        }
        return try LoRAInstallation(self, linears, model, context)
    }
}

/// A pair of matrices in a linear layer's slot.
private final class LoRAPair: LinearAdapter {
    let linear: Linear
    /// [r, inputs]
    let a: Tensor
    /// [outputs, r]
    let b: Tensor
    let scale: Float
    let dropout: Float

    init(_ linear: Linear, rank: Int, scale: Float, dropout: Float, seed: UInt64) {
        self.linear = linear
        self.scale = scale
        self.dropout = dropout
        // kaiming_uniform(a = √5) of nn.Linear: U(−1/√inputs, 1/√inputs). B = 0, so that training starts at W.
        let bound = 1 / Float(linear.inputSize).squareRoot()
        var generator = RandomGenerator(seed: seed, stream: linear.path + ".lora_A.weight")
        a = Tensor(uninitialized: [rank, linear.inputSize])
        for i in 0..<a.count { a.data[i] = bound * Float(2 * generator.nextUniform() - 1) }
        b = Tensor(zeros: [linear.outputSize, rank])
    }

    var readsOutput: Bool { false }

    func apply(to product: LinearProduct) -> Tensor {
        let u = lowRankInput(product.input, a, scale: scale, dropout: product.context.dropout(dropout))
        return product.completed(adding: LowRankTerm(u: u, b: b))
    }

    /// W + weight · s · B A, in the layout of the file.
    func merged(weight: Float) -> Tensor {
        let result = linear.weight.tensor.copy()
        if linear.isInputByOutput {
            addProduct(a, transposingFirst: true, b, transposingSecond: true, scale: weight * scale, to: result)
        } else {
            addProduct(b, transposingFirst: false, a, transposingSecond: false, scale: weight * scale, to: result)
        }
        return result
    }
}

private final class LoRAInstallation: Installation {
    private let method: LoRA
    private let model: any AdaptableModel
    private let basePath: String
    private let pairs: [LoRAPair]
    private let extras: ExtraParameters

    init(_ method: LoRA, _ linears: [Linear], _ model: any AdaptableModel, _ context: InstallationContext) throws {
        self.method = method
        self.model = model
        basePath = context.basePath
        let settings = method.settings
        extras = ExtraParameters(model: model)
        pairs = try linears.map { linear in
            let rank = try settings.rankPattern.value(for: linear.path) ?? settings.rank
            let alpha = try settings.alphaPattern.value(for: linear.path) ?? settings.alpha
            let limit = min(linear.inputSize, linear.outputSize)
            // Larger ones waste work, but peft makes them, and what it made is to be used.
            if rank > limit, context.isTraining {
                throw Problems([
                    method.section.problem(
                        "a rank of \(rank) is more than \(linear.path) has, whose weight is \(linear.outputSize) × "
                            + "\(linear.inputSize); give at most \(limit)", at: "r")
                ])
            }
            let divisor = settings.isRankStabilised ? Double(rank).squareRoot() : Double(rank)
            return LoRAPair(
                linear, rank: rank, scale: Float(alpha / divisor), dropout: settings.dropout, seed: context.seed)
        }
        let targeted = Set(linears.map(\.path))
        for parameter in model.parameters where parameter.name.hasSuffix(".bias") {
            let path = String(parameter.name.dropLast(".bias".count))
            let isTargeted = targeted.contains(path)
            guard settings.bias == .all || settings.bias == .loraOnly && isTargeted else { continue }
            extras.add(parameter, savedName: isTargeted ? path + ".base_layer.bias" : parameter.name)
        }
        try extras.add(modulesToSave: settings.modulesToSave, method.section)
        extras.takeOver(tracking: context.isTraining)
        for pair in pairs {
            pair.linear.adapter = pair
            if context.isTraining {
                pair.a.track()
                pair.b.track()
            }
        }
    }

    var trainable: [TrainableParameter] {
        pairs.flatMap { pair in
            [
                TrainableParameter(name: pair.linear.path + ".lora_A.weight", tensor: pair.a, decays: true),
                TrainableParameter(name: pair.linear.path + ".lora_B.weight", tensor: pair.b, decays: true),
            ]
        } + extras.trainable
    }

    func deliver() -> Delivery {
        .adapter(
            configuration: method.settings.adapterConfiguration(pairs.map(\.linear), of: model, basePath: basePath),
            tensors: trainable.map { ("base_model.model." + $0.name, $0.tensor) })
    }

    func load(_ tensors: [String: Tensor], file: String) throws(Problems) {
        try loadExactly(tensors, into: trainable.map { ($0.name, $0.tensor) }, file: file)
    }

    func merge(weight: Float) {
        for pair in pairs {
            pair.linear.adapter = nil
            pair.linear.weight.tensor = pair.merged(weight: weight)
        }
        extras.merge(weight: weight)
    }

    func remove() {
        for pair in pairs { pair.linear.adapter = nil }
        extras.restore()
    }
}
