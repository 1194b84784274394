public import Configuration
import Diagnostics
import JSONText
public import Layers
import Tensors

/// Low-rank Hadamard products (Hyeon-Woo et al. 2022, FedPara): W + s · (A₁ B₁) ∘ (A₂ B₂) with A [outputs, r] and
/// B [r, inputs] trained, and s = alpha / r.
public struct LoHa: SelectingMethod {
    public static let name = "loha"
    public static let learningRate = 5e-3
    public static let adapterType: String? = "LOHA"
    public static let loadingObstacle: String? = lyCORISObstacle
    public static let tensorEndings = [".hada_w1_a", ".hada_w1_b", ".hada_w2_a", ".hada_w2_b"]

    let settings: LyCORISSettings
    let section: ConfigSection
    let start: [LoHa]

    public init(_ section: ConfigSection, startingFrom defaults: LoHa?) throws {
        self.section = section
        start = defaults.map { [$0] } ?? []
        settings = LyCORISSettings(section, defaults: defaults?.settings, starts: [.zero, .random])
        try section.throwProblems()
    }

    public func check(_ model: any AdaptableModel) throws { try checkStart(model) }

    func selection(in model: any AdaptableModel) throws -> Selection {
        try settings.selection(of: Self.self, in: model, section)
    }

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        try check(model)
        return try settings.install(
            Self.self, into: model, context, section, [], layout: HadamardFactors.layout
        ) { linear, rank, scale in
            HadamardFactors(linear, rank: rank, scale: scale, settings, seed: context.beginningSeed)
        }
    }
}

/// The factors of one layer's change.
private final class HadamardFactors: MergeableAdapter {
    let linear: Linear
    private let scale: Float
    private let settings: LyCORISSettings
    /// [outputs, r] and [r, inputs], twice
    private let a1, b1, a2, b2: Tensor
    /// Whether the change goes as a low-rank term of rank r² rather than as a matrix of the weight's size: (A₁ B₁) ∘ (A₂
    /// B₂) = (A₁ • A₂)(B₁ * B₂), the products of their columns and rows (Khatri and Rao 1968).
    private let isLowRank: Bool

    /// What the tensors of a layer are named in the file, and their shapes.
    static func layout(_ linear: Linear, rank: Int) -> [(suffix: String, shape: [Int])] {
        let (a, b) = ([linear.outputSize, rank], [rank, linear.inputSize])
        return [("hada_w1_a", a), ("hada_w1_b", b), ("hada_w2_a", a), ("hada_w2_b", b)]
    }

    /// - Parameter seed: nil where a file's tensors will take the place of these.
    init(_ linear: Linear, rank: Int, scale: Float, _ settings: LyCORISSettings, seed: UInt64?) {
        self.linear = linear
        self.scale = scale
        self.settings = settings
        let (inputs, outputs) = (linear.inputSize, linear.outputSize)
        var generator = seed.map { RandomGenerator(seed: $0, stream: linear.path + ".hada") }
        a1 = kaimingUniform([outputs, rank], &generator)
        b1 = kaimingUniform([rank, inputs], &generator)
        a2 = kaimingUniform([outputs, rank], &generator)
        b2 = settings.start == .random ? kaimingUniform([rank, inputs], &generator) : Tensor(zeros: [rank, inputs])
        isLowRank = 2 * Double(rank) * Double(rank) * Double(inputs + outputs) < Double(inputs) * Double(outputs)
    }

    var tensors: [(suffix: String, tensor: Tensor)] {
        [("hada_w1_a", a1), ("hada_w1_b", b1), ("hada_w2_a", a2), ("hada_w2_b", b2)]
    }

    func apply(to product: LinearProduct) -> Tensor {
        if settings.isDropped(product.context) { return product.completed(adding: nil) }
        let kept = settings.keptRows(linear.outputSize, product.context, dividesByShare: true)
        if isLowRank {
            let u = lowRankInput(
                product.input, columnProducts(b1, b2), scale: scale, dropout: nil,
                byRow: !product.context.isTraining)
            return product.completed(adding: LowRankTerm(u: u, b: rowProducts(a1, a2, scale: kept)))
        }
        var left = a1
        if let kept { left = rowProducts(a1, Tensor(repeating: 1, [linear.outputSize, 1]), scale: kept) }
        let change = self.change(left, isTransposed: linear.isInputByOutput)
        return product.completed(addingToWeight: change)
    }

    /// s · (A₁ B₁) ∘ (A₂ B₂), [outputs, inputs] or the transpose.
    private func change(_ a1: Tensor, isTransposed: Bool) -> Tensor {
        func product(_ a: Tensor, _ b: Tensor, _ scale: Float) -> Tensor {
            isTransposed
                ? matrixProduct(b, transposingFirst: true, a, transposingSecond: true, scale: scale)
                : matrixProduct(a, transposingFirst: false, b, transposingSecond: false, scale: scale)
        }
        return elementwiseProduct(product(a1, b1, scale), product(a2, b2, 1))
    }

    func merge(weight: Float) {
        let change = withoutGradients { self.change(a1, isTransposed: false) }
        linear.addToWeight(change, scale: weight)
    }
}
