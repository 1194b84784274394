import Diagnostics
import Methods
import Tensors

/// One module's part of several adapters, each with its weight, and what they become together: s B A with s = 1.
struct CombinedModule {
    struct Part {
        /// The number of the adapter.
        let adapter: Int
        let weight: Float
        let change: LowRankChange
    }

    let path: String
    let isEmbedding: Bool
    private(set) var parts: [Part]

    init(_ part: Part) {
        (path, isEmbedding, parts) = (part.change.path, part.change.isEmbedding, [part])
    }

    mutating func add(_ part: Part) { parts.append(part) }

    struct Result {
        /// [r, inputs]
        let a: Tensor
        /// [outputs, r]
        let b: Tensor
        /// [outputs]; nil where no adapter has one.
        let bias: Tensor?
    }

    /// Two parts that differ in rank; nil where all have one.
    var unequalRanks: (Part, Part)? {
        parts.first { $0.change.a.rowCount != parts[0].change.a.rowCount }.map { (parts[0], $0) }
    }

    /// - Parameters:
    ///   - rank: Of what is brought down.
    ///   - keeps: Whether a number stays where they are dropped at random, for the adapter's number and the tensor's name.
    func combined(_ arithmetic: TaskArithmetic, rank: Int, keeps: (Int, String) -> () -> Bool) -> Result {
        let bias = combinedBias
        if arithmetic.type == .cat { return Result(a: stackedRows, b: stackedColumns, bias: bias) }
        if arithmetic.type.combinesChanges {
            let changes = parts.map { part in
                matrixProduct(
                    part.change.b, transposingFirst: false, part.change.a, transposingSecond: false,
                    scale: part.change.scale)
            }
            let sum = arithmetic.combined(changes.map(\.values), weights: parts.map(\.weight)) {
                keeps(parts[$0].adapter, "change")
            }
            let change = Tensor(sum, shape: changes[0].shape)
            let rank = min(rank, change.rowCount, change.columnCount)
            let (left, values, right) = leadingSingularVectors(change, isTransposed: false, count: rank)
            for i in 0..<left.count { left.data[i] = Float(Double(left.data[i]) * values[i % rank]) }
            return Result(a: right, b: left, bias: bias)
        }
        // The square root of a weight on either side, its sign on one.
        let scales = parts.map { Double($0.weight) * Double($0.change.scale) }
        let roots = scales.map { $0.magnitude.squareRoot() }
        let a = arithmetic.combined(
            parts.map(\.change.a.values), weights: zip(roots, scales).map { Float($1 < 0 ? -$0 : $0) }
        ) { keeps(parts[$0].adapter, "lora_A") }
        let b = arithmetic.combined(parts.map(\.change.b.values), weights: roots.map { Float($0) }) {
            keeps(parts[$0].adapter, "lora_B")
        }
        return Result(
            a: Tensor(a, shape: parts[0].change.a.shape), b: Tensor(b, shape: parts[0].change.b.shape), bias: bias)
    }

    /// Σ wᵢ sᵢ biasᵢ, whatever is done to A and B.
    private var combinedBias: Tensor? {
        guard let first = parts.compactMap(\.change.bias).first else { return nil }
        var sum = [Float](repeating: 0, count: first.count)
        for part in parts {
            guard let bias = part.change.bias else { continue }
            for i in sum.indices { sum[i] += part.weight * part.change.scale * bias.data[i] }
        }
        return Tensor(sum, shape: first.shape)
    }

    private var stackedRows: Tensor {
        let width = parts[0].change.a.columnCount
        let result = Tensor(uninitialized: [parts.reduce(0) { $0 + $1.change.a.rowCount }, width])
        var row = 0
        for part in parts {
            let a = part.change.a
            for i in 0..<a.count { result.data[row * width + i] = a.data[i] * part.weight * part.change.scale }
            row += a.rowCount
        }
        return result
    }

    private var stackedColumns: Tensor {
        let width = parts.reduce(0) { $0 + $1.change.b.columnCount }
        let result = Tensor(uninitialized: [parts[0].change.b.rowCount, width])
        var column = 0
        for part in parts {
            let b = part.change.b
            for i in 0..<b.rowCount {
                (result.data + i * width + column).update(from: b.data + i * b.columnCount, count: b.columnCount)
            }
            column += b.columnCount
        }
        return result
    }
}
