import Configuration
import Diagnostics
import Layers
import Tensors

/// What a layer begins with by LoftQ: Q in place of W, a pair, and how near both come to W.
struct LoftQBeginning {
    let base: any StoredTensor
    /// nil where it isn't asked for.
    let pair: (a: Tensor, b: Tensor)?
    /// ‖W‖², and ‖W − q(W)‖².
    let (weight, plain): (Double, Double)
    /// ‖W − Q‖², and how much of that is in B A: the sum of the squares of its singular values.
    let (rest, made): (Double, Double)

    /// ‖W − Q − s B A‖², as B A is a projection of W − Q.
    func squaredError(scale: Double) -> Double { max(0, rest + (scale * scale - 2 * scale) * made) }
}

extension LoftQSettings {
    /// The beginnings of all layers, each computed by one thread, so that no more floats than theirs are in memory at once.
    ///
    /// - Parameter makesPairs: Whether pairs are wanted; otherwise a file has what became of them.
    /// - Throws: `Problem` where a weight has elements that can't be quantized.
    func beginnings(of pairs: [LoRAPair], makesPairs: Bool) throws(Problem) -> [LoftQBeginning] {
        let found = parallelMap(pairs.count) { index in
            Result { () throws(NonFiniteElement) in try beginning(of: pairs[index], makesPair: makesPairs) }
        }
        var beginnings: [LoftQBeginning] = []
        for (pair, result) in zip(pairs, found) {
            switch result {
            case .success(let beginning): beginnings.append(beginning)
            case .failure(let element):
                throw Problem("has \(element), which can't be quantized", key: pair.linear.weight.name)
            }
        }
        return beginnings
    }

    /// Qₜ = q(W − Bₜ₋₁ Aₜ₋₁) and Bₜ Aₜ = U √Σ · √Σ Vᵀ, the leading part of rank r of W − Qₜ, for t = 1…T and B₀ A₀ = 0. A base
    /// that is kept in few bits stays so.
    private func beginning(of pair: LoRAPair, makesPair: Bool) throws(NonFiniteElement) -> LoftQBeginning {
        let (linear, rank) = (pair.linear, pair.shape.rank)
        let stored = pair.original as? QuantizedTensor
        let source = stored?.source ?? pair.original
        let weight = source.floats
        defer { source.releasePages() }
        var target = weight
        var plain: Double?
        for iteration in 1... {
            let quantized = try QuantizedTensor.quantizing(
                target, isInputByOutput: linear.isInputByOutput, kind, originalType: stored?.originalType ?? "float32")
            let values = quantized.floats
            let base: any StoredTensor = stored == nil ? values : quantized
            let isLast = iteration == iterations
            if isLast && !makesPair {
                return LoftQBeginning(base: base, pair: nil, weight: 0, plain: 0, rest: 0, made: 0)
            }
            let rest = difference(weight, values)
            let (left, singular, right) = leadingSingularVectors(
                rest, isTransposed: linear.isInputByOutput, count: rank)
            for k in 0..<rank {
                let factor = Float(singular[k].squareRoot())
                for i in 0..<left.rowCount { left.data[i * rank + k] *= factor }
                for j in 0..<right.columnCount { right.data[k * right.columnCount + j] *= factor }
            }
            let remaining = sumOfSquares(rest)
            plain = plain ?? remaining
            if isLast {
                return LoftQBeginning(
                    base: base, pair: (right, left), weight: sumOfSquares(weight), plain: plain ?? remaining,
                    rest: remaining, made: singular.reduce(0) { $0 + $1 * $1 })
            }
            target = pair.weight(weight, adding: -1, (right, left))
        }
        defect("LoftQ: no last iteration")
    }

    /// Tells how far the beginning is from the base's weights, and what is odd about it.
    func tell(
        _ beginnings: [LoftQBeginning], _ pairs: [LoRAPair], _ settings: LoRASettings, _ section: ConfigSection,
        _ context: InstallationContext
    ) {
        let name = kind.format.rawValue + (kind.isDouble ? ", double," : "")
        let count = pairs.count == 1 ? "1 layer" : "\(pairs.count) layers"
        if context.stored != nil {
            return context.note(
                "loftq: the weights of \(count) are the quantized ones (\(kind.format.rawValue)) that the adapter was trained on, "
                    + "made anew")
        }
        let weight = beginnings.reduce(0) { $0 + $1.weight }
        func text(_ squares: (Int) -> Double) -> String {
            let sum = beginnings.indices.reduce(0) { $0 + squares($1) }
            let share = weight == 0 ? 0 : (sum / weight).squareRoot()
            return "\((share * 10_000).rounded() / 100) %"
        }
        let plain = text { beginnings[$0].plain }
        let whole = text { beginnings[$0].squaredError(scale: 1) }
        context.note(
            "loftq: Q + B A of \(count) is \(whole) from \(pairs.count == 1 ? "its" : "their") weights (relative Frobenius error); \(name) alone is \(plain)"
        )
        let scales = pairs.map { Double($0.shape.scale) }
        guard scales.contains(where: { ($0 - 1).magnitude > 1e-6 }) else { return }
        let (divisor, alpha) = settings.isRankStabilised ? ("√r", "the square root of r") : ("r", "r")
        let rounded = (scales[0] * 1000).rounded() / 1000
        let factor = Int(exactly: rounded).map { "\($0)" } ?? "\(rounded)"
        let scaled = Set(scales).count == 1 ? "\(factor) times B A" : "B A so scaled"
        var warning = section.problem(
            "peft's loftq doesn't divide lora_alpha / \(divisor) out of B A, and so it isn't here: \(scaled) leaves the "
                + "beginning \(text { beginnings[$0].squaredError(scale: scales[$0]) }) from the weights, where \(name) alone "
                + "is \(plain); with \(alpha) as lora_alpha it is \(whole)", at: "lora_alpha")
        warning.severity = .warning
        context.warn(warning)
    }
}

/// a − b
func difference(_ a: Tensor, _ b: Tensor) -> Tensor {
    let result = Tensor(uninitialized: a.shape)
    for i in 0..<result.count { result.data[i] = a.data[i] - b.data[i] }
    return result
}
