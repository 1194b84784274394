import Glibc
import Layers
import Tensors

/// How A and B begin, by peft's words.
enum LoRAInitialization: String, CaseIterable {
    /// A uniform as a linear layer of torch begins, B = 0, so that training starts at W.
    case standard = "true"
    /// Both as linear layers of torch begin: training starts elsewhere.
    case random = "false"
    /// A normal with a deviation of 1 / r, B = 0.
    case gaussian
    /// Random, with B A = 0 because the rows of both lie in spaces at right angles.
    case orthogonal
    /// The leading singular vectors of W (Meng et al. 2024, section 3), taken out of it.
    case pissa
    /// The first columns of W's orthogonal factor (Büyükakyüz 2024), taken out of it.
    case olora
    /// What makes up for the loss of W in few bits, which take its place (`LoftQSettings`).
    case loftq

    /// Whether the pair is taken out of the base's weight.
    var takesFromBase: Bool { self == .pissa || self == .olora }

    /// Whether the base's weight becomes another.
    var changesBase: Bool { takesFromBase || self == .loftq }

    /// Fills A [r, inputs] and B [outputs, r], which is 0, where they don't depend on W.
    func fill(_ a: Tensor, _ b: Tensor, bias: Tensor?, _ generator: inout RandomGenerator) {
        func uniform(_ tensor: Tensor, bound: Float) {
            for i in 0..<tensor.count { tensor.data[i] = bound * Float(2 * generator.nextUniform() - 1) }
        }
        let rank = a.rowCount
        switch self {
        case .standard, .pissa, .olora, .loftq:
            // kaiming_uniform(a = √5): U(−1/√inputs, 1/√inputs).
            uniform(a, bound: 1 / Float(a.columnCount).squareRoot())
        case .random:
            uniform(a, bound: 1 / Float(a.columnCount).squareRoot())
            uniform(b, bound: 1 / Float(rank).squareRoot())
            if let bias { uniform(bias, bound: 1 / Float(rank).squareRoot()) }
        case .gaussian:
            for i in 0..<a.count { a.data[i] = Float(generator.nextNormal()) / Float(rank) }
        case .orthogonal:
            // A = (R₁ Q_even)ᵀ / 10 and B = (R₂ᵀ Q_odd) / 10 with the rows of an orthogonal Q [r, r], so that B A = 0.
            let q = orthonormalColumns((0..<rank * rank).map { _ in generator.nextNormal() }, rows: rank, columns: rank)
            func spread(_ count: Int, parity: Int, _ set: (Int, Int, Float) -> Void) {
                for i in 0..<count {
                    let weights = (0..<rank / 2).map { _ in generator.nextNormal() }
                    for k in 0..<rank {
                        let sum = weights.indices.reduce(0) { $0 + weights[$1] * q[(2 * $1 + parity) * rank + k] }
                        set(i, k, Float(sum / 10))
                    }
                }
            }
            spread(a.columnCount, parity: 0) { i, k, value in a.data[k * a.columnCount + i] = value }
            spread(b.rowCount, parity: 1) { i, k, value in b.data[i * rank + k] = value }
        }
    }

    /// The pair that is taken out of a layer's weight; s · B A is what it is nearest to W with, in the sense of the method.
    func start(of linear: Linear, rank: Int, scale: Float) -> (a: Tensor, b: Tensor)? {
        let weight = linear.weight.tensor
        switch self {
        case .standard, .random, .gaussian, .orthogonal, .loftq: return nil
        case .pissa:
            let (left, values, right) = leadingSingularVectors(
                weight, isTransposed: linear.isInputByOutput, count: rank)
            for k in 0..<rank {
                let factor = Float((values[k] / Double(scale)).squareRoot())
                for i in 0..<left.rowCount { left.data[i * rank + k] *= factor }
                for j in 0..<right.columnCount { right.data[k * right.columnCount + j] *= factor }
            }
            return (right, left)
        case .olora:
            return leadingColumns(weight, isTransposed: linear.isInputByOutput, count: rank)
        }
    }
}

/// Lets pairs begin as the settings say, those from the base's weights on all threads, and then their magnitudes.
func initialise(_ pairs: [LoRAPair], _ initialization: LoRAInitialization) {
    if initialization.takesFromBase {
        let starts = parallelMap(pairs.count) { index in
            initialization.start(
                of: pairs[index].linear, rank: pairs[index].shape.rank, scale: pairs[index].shape.scale)
        }
        for (pair, start) in zip(pairs, starts) { if let start { pair.begin(with: start) } }
    }
    for pair in pairs { pair.beginMagnitude() }
}
