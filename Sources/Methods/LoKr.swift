public import Configuration
import Diagnostics
import JSONText
public import Layers
import Tensors

/// Kronecker products (Edalati et al. 2022, KronA; LyCORIS' LoKr): W + s · w₁ ⊗ w₂ with w₁ [l, m] and w₂ [k, n] trained,
/// outputs = l · k, inputs = m · n, each of the two itself a product of rank r where that is smaller, s = alpha / r.
public struct LoKr: SelectingMethod {
    public static let name = "lokr"
    public static let learningRate = 5e-3
    public static let adapterType: String? = "LOKR"
    public static let loadingObstacle: String? = lyCORISObstacle
    public static let tensorEndings = [
        ".lokr_w1", ".lokr_w1_a", ".lokr_w1_b", ".lokr_w2", ".lokr_w2_a", ".lokr_w2_b",
    ]

    let settings: LyCORISSettings
    /// Whether w₁ may be a product too.
    let decomposesBoth: Bool
    /// The number that l and m shall be, or -1 for as near as can be to the root.
    let factor: Int
    /// Whether rows that a pass keeps are divided by their share.
    let scalesKeptRows: Bool
    let section: ConfigSection
    let start: [LoKr]

    public init(_ section: ConfigSection, startingFrom defaults: LoKr?) throws {
        self.section = section
        start = defaults.map { [$0] } ?? []
        settings = LyCORISSettings(section, defaults: defaults?.settings, starts: [.zero, .random, .lycoris])
        decomposesBoth = section.bool("decompose_both", default: defaults?.decomposesBoth ?? false)
        factor = section.int("decompose_factor", default: defaults?.factor ?? -1)
        if factor != -1, factor < 1 {
            section.record("must be at least 1, or -1 for none, got \(factor)", at: "decompose_factor")
        }
        scalesKeptRows = section.bool("rank_dropout_scale", default: defaults?.scalesKeptRows ?? false)
        if let defaults {
            section.compare("decompose_both", decomposesBoth, with: defaults.decomposesBoth)
            section.compare("decompose_factor", factor, with: defaults.factor)
        }
        try section.throwProblems()
    }

    public func check(_ model: any AdaptableModel) throws { try checkStart(model) }

    func selection(in model: any AdaptableModel) throws -> Selection {
        try settings.selection(of: Self.self, in: model, section)
    }

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        let own: [JSONValue.Member] = [
            .init("decompose_both", .boolean(decomposesBoth)), .init("decompose_factor", .integer(factor)),
            .init("rank_dropout_scale", .boolean(scalesKeptRows)),
        ]
        try check(model)
        return try settings.install(
            Self.self, into: model, context, section, own,
            layout: { KroneckerFactors.layout($0, rank: $1, self).flatMap(\.tensors) }
        ) { linear, rank, scale in
            KroneckerFactors(linear, rank: rank, scale: scale, self, seed: context.beginningSeed)
        }
    }

    /// Two numbers whose product is `size`: `factor` and the rest where it divides it, otherwise the first no larger than
    /// `factor` and as near to the second as can be.
    static func factorization(_ size: Int, _ factor: Int) -> (Int, Int) {
        if factor > 0, size % factor == 0 { return (factor, size / factor) }
        var best = (1, size)
        var first = 1
        while first <= size / first {
            if size % first == 0, factor == -1 || first <= factor { best = (first, size / first) }
            first += 1
        }
        return best
    }
}

/// The factors of one layer's change.
private final class KroneckerFactors: MergeableAdapter {
    /// A matrix, or one of rank r as the product of two.
    private enum Factor {
        case whole(Tensor)
        case product(Tensor, Tensor)

        var value: Tensor {
            switch self {
            case .whole(let matrix): matrix
            case .product(let a, let b):
                matrixProduct(a, transposingFirst: false, b, transposingSecond: false, scale: 1)
            }
        }

        func tensors(_ name: String) -> [(suffix: String, tensor: Tensor)] {
            switch self {
            case .whole(let matrix): [(name, matrix)]
            case .product(let a, let b): [(name + "_a", a), (name + "_b", b)]
            }
        }
    }

    /// The shape of a factor, and the rank of the product that it is, if it is one.
    struct FactorLayout {
        let name: String
        let rows, columns: Int
        let rank: Int?

        var tensors: [(suffix: String, shape: [Int])] {
            guard let rank else { return [(name, [rows, columns])] }
            return [(name + "_a", [rows, rank]), (name + "_b", [rank, columns])]
        }
    }

    /// The two factors of a layer's change.
    static func layout(_ linear: Linear, rank: Int, _ method: LoKr) -> [FactorLayout] {
        let (l, k) = LoKr.factorization(linear.outputSize, method.factor)
        let (m, n) = LoKr.factorization(linear.inputSize, method.factor)
        // 2 · rank < size, without a product that a file's rank could make overflow.
        func isProduct(_ size: Int) -> Bool { rank <= (size - 1) / 2 }
        return [
            FactorLayout(
                name: "lokr_w1", rows: l, columns: m,
                rank: method.decomposesBoth && isProduct(max(l, m)) ? rank : nil),
            FactorLayout(name: "lokr_w2", rows: k, columns: n, rank: isProduct(max(k, n)) ? rank : nil),
        ]
    }

    let linear: Linear
    private let scale: Float
    private let method: LoKr
    private let first, second: Factor

    /// - Parameter seed: nil where a file's tensors will take the place of these.
    init(_ linear: Linear, rank: Int, scale: Float, _ method: LoKr, seed: UInt64?) {
        self.linear = linear
        self.scale = scale
        self.method = method
        let layout = Self.layout(linear, rank: rank, method)
        var generator = seed.map { RandomGenerator(seed: $0, stream: linear.path + ".lokr") }
        let start = method.settings.start
        // What is zero at first: the first factor's first part, or in the LyCORIS library the second one's last.
        func matrix(_ rows: Int, _ columns: Int, isZero: Bool) -> Tensor {
            isZero ? Tensor(zeros: [rows, columns]) : kaimingUniform([rows, columns], &generator)
        }
        let (w1, w2) = (layout[0], layout[1])
        first =
            w1.rank.map { rank in
                Factor.product(
                    matrix(w1.rows, rank, isZero: start == .zero), matrix(rank, w1.columns, isZero: false))
            } ?? .whole(matrix(w1.rows, w1.columns, isZero: start == .zero))
        second =
            w2.rank.map { rank in
                Factor.product(
                    matrix(w2.rows, rank, isZero: false), matrix(rank, w2.columns, isZero: start == .lycoris))
            } ?? .whole(matrix(w2.rows, w2.columns, isZero: start == .lycoris))
    }

    var tensors: [(suffix: String, tensor: Tensor)] { first.tensors("lokr_w1") + second.tensors("lokr_w2") }

    func apply(to product: LinearProduct) -> Tensor {
        let settings = method.settings
        if settings.isDropped(product.context) { return product.completed(adding: nil) }
        var change = kroneckerProduct(product.input, first.value, second.value, scale: scale)
        if let kept = settings.keptRows(
            linear.outputSize, product.context, dividesByShare: method.scalesKeptRows)
        {
            change = scaleColumns(change, by: Tensor(kept, shape: [kept.count]), bias: nil)
        }
        return product.finished(addResidual(product.biasedProduct(of: product.input), change, dropout: nil))
    }

    func merge(weight: Float) {
        let (w1, w2) = withoutGradients { (first.value, second.value) }
        let change = Tensor(uninitialized: [linear.outputSize, linear.inputSize])
        for row in 0..<linear.outputSize {
            let (i, p) = row.quotientAndRemainder(dividingBy: w2.rowCount)
            for column in 0..<linear.inputSize {
                let (j, q) = column.quotientAndRemainder(dividingBy: w2.columnCount)
                change.data[row * linear.inputSize + column] =
                    w1.data[i * w1.columnCount + j] * w2.data[p * w2.columnCount + q]
            }
        }
        linear.addToWeight(change, scale: weight * scale)
    }
}
