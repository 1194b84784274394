import Glibc

/// A family's forward pass in double precision, one number at a time: what the model and its gradients are held against.
///
/// Names as in checkpoints; a linear layer with `<path>.lora_A.weight` and `<path>.lora_B.weight` gets
/// scale · B A x beside its own product, a model with `lm_head.weight` has a head of its own.
public protocol ScalarModel {
    var values: [String: [Double]] { get set }
    var prompt: ScalarPrompt { get set }
    /// alpha / rank by a linear layer's path.
    var lowRankScales: [String: Double] { get set }
    /// How a sub-layer's output joins the residual stream where it isn't by their sum.
    var join: ScalarJoin? { get set }
    /// The path of the token embedding.
    var tokenTable: String { get }

    /// The numbers that go into a linear layer.
    func inputs(of path: String) -> Int

    /// Whether a linear layer's weight lies as [inputs, outputs].
    func isInputByOutput(_ path: String) -> Bool

    /// The scores of the next token after each one of a sequence, [tokens][vocabulary], by `values` as they are.
    func plainLogits(_ tokens: [Int32]) -> [[Double]]
}

/// What is learned in front of a sequence.
public struct ScalarPrompt {
    /// Virtual tokens in front of every sequence; token −1 − k is row k of `virtual_tokens`.
    public var leadingCount = 0
    /// Keys and values in front of every layer's own, `prefix` [n, layers · 2 · width of keys].
    public var prefixCount = 0
    /// Values that follow from the others, such as what an encoder computes.
    public var derive: (@Sendable ([String: [Double]]) -> [String: [Double]])?

    public init() {}
}

/// The values, the path of the place (`….h.0.attention_adapters`, `….output_adapters`), the stream and the sub-layer's
/// output to what goes on.
public typealias ScalarJoin = (_ values: [String: [Double]], _ path: String, [Double], [Double]) -> [Double]

extension ScalarModel {
    /// Σ −log p(label) over the rows whose label isn't negative; `labels` speak of the token after each row.
    public func loss(_ sequences: [(tokens: [Int32], labels: [Int32])]) -> Double {
        sequences.reduce(0) { sum, sequence in
            zip(logits(sequence.tokens), sequence.labels).reduce(sum) { sum, row in
                guard row.1 >= 0 else { return sum }
                let largest = row.0.max() ?? 0
                return sum + largest + log(row.0.reduce(0) { $0 + exp($1 - largest) }) - row.0[Int(row.1)]
            }
        }
    }

    /// The scores of the next token after each one of a sequence, [tokens][vocabulary].
    public func logits(_ tokens: [Int32]) -> [[Double]] {
        guard let derive = prompt.derive else { return plainLogits(tokens) }
        var whole = self
        whole.values.merge(derive(values)) { $1 }
        return whole.plainLogits(tokens)
    }

    func value(_ name: String) -> [Double] {
        guard let found = values[name] else { preconditionFailure("\(Self.self): no \(name)") }
        return found
    }

    func put(_ f: [Double], into h: inout [Double], at path: String) {
        if let join { h = join(values, path, h, f) } else { for i in h.indices { h[i] += f[i] } }
    }

    func layerNorm(_ x: [Double], _ path: String, _ epsilon: Double) -> [Double] {
        let (weight, bias) = (value(path + ".weight"), value(path + ".bias"))
        let mean = x.reduce(0, +) / Double(x.count)
        let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
        return x.indices.map { (x[$0] - mean) / (variance + epsilon).squareRoot() * weight[$0] + bias[$0] }
    }

    /// W x + b, b where there is one, and what LoRA adds to that.
    func linear(_ x: [Double], _ path: String) -> [Double] {
        let (weight, isInputByOutput) = (value(path + ".weight"), isInputByOutput(path))
        let outputs = weight.count / x.count
        var y = values[path + ".bias"] ?? [Double](repeating: 0, count: outputs)
        for i in x.indices {
            for j in y.indices { y[j] += x[i] * weight[isInputByOutput ? i * outputs + j : j * x.count + i] }
        }
        guard let a = values[path + ".lora_A.weight"] else { return y }
        let b = value(path + ".lora_B.weight")
        let rank = a.count / x.count
        for k in 0..<rank {
            let u = x.indices.reduce(0) { $0 + a[k * x.count + $1] * x[$1] } * (lowRankScales[path] ?? 1)
            for j in y.indices { y[j] += u * b[j * rank + k] }
        }
        return y
    }
}

/// One query's attention over `places`, [heads · size]; `groups` heads share one of keys and values.
func softmaxAttention(
    heads: Int, size: Int, groups: Int, scale: Double, places: [Int], query: (_ column: Int) -> Double,
    key: (_ place: Int, _ column: Int) -> Double, value: (_ place: Int, _ column: Int) -> Double
) -> [Double] {
    (0..<heads).flatMap { head in
        let other = head / groups
        let scores = places.map { place in
            (0..<size).reduce(0) { $0 + query(head * size + $1) * key(place, other * size + $1) } * scale
        }
        let largest = scores.max() ?? 0
        let weights = scores.map { exp($0 - largest) }
        let sum = weights.reduce(0, +)
        return (0..<size).map { column in
            zip(weights, places).reduce(0) { $0 + $1.0 / sum * value($1.1, other * size + column) }
        }
    }
}

/// A head with its first columns turned by a position, pair by pair of halves.
func turned(_ head: [Double], columns: Int, by position: Int, theta: Double) -> [Double] {
    let half = columns / 2
    return head.indices.map { i in
        if i >= columns { return head[i] }
        let angle = Double(position) * pow(theta, -2 * Double(i % half) / Double(columns))
        return i < half
            ? head[i] * cos(angle) - head[i + half] * sin(angle) : head[i] * cos(angle) + head[i - half] * sin(angle)
    }
}
