import Glibc

/// GPT-2's forward pass in double precision, one number at a time: what the model and its gradients are held against.
///
/// Names as in checkpoints; a linear layer with `<path>.lora_A.weight` and `<path>.lora_B.weight` gets
/// scale · B A x beside its own product, a model with `lm_head.weight` has a head of its own.
public struct ScalarGPT2 {
    public var width: Int
    public var heads: Int
    public var layers: Int
    public var epsilon = 1e-5
    public var activation = "gelu_new"
    public var scalesScores = true
    public var scalesScoresByLayer = false
    /// Virtual tokens in front of every sequence; token −1 − k is row k of `virtual_tokens`.
    public var leadingCount = 0
    /// Keys and values in front of every layer's own, `prefix` [n, layers · 2 · width].
    public var prefixCount = 0
    /// Values that follow from the others, such as what an encoder computes.
    public var derive: (@Sendable ([String: [Double]]) -> [String: [Double]])?
    /// alpha / rank by a linear layer's path.
    public var lowRankScales: [String: Double] = [:]
    public var values: [String: [Double]] = [:]
    /// How a sub-layer's output joins the residual stream where it isn't by their sum: the values, the path of the
    /// place (`transformer.h.0.attention_adapters`, `….output_adapters`), the stream and the output.
    public var join: ((_ values: [String: [Double]], _ path: String, [Double], [Double]) -> [Double])?

    public init(width: Int, heads: Int, layers: Int) {
        (self.width, self.heads, self.layers) = (width, heads, layers)
    }

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
        if let derive {
            var whole = self
            whole.derive = nil
            whole.values.merge(derive(values)) { $1 }
            return whole.logits(tokens)
        }
        let (tokenTable, positionTable) = (value("transformer.wte.weight"), value("transformer.wpe.weight"))
        let all = (0..<leadingCount).map { -1 - Int($0) } + tokens.map(Int.init)
        var h = all.enumerated().map { row, token in
            let (table, index) = token < 0 ? (value("virtual_tokens"), -1 - token) : (tokenTable, token)
            let position = row + prefixCount
            return (0..<width).map { table[index * width + $0] + positionTable[position * width + $0] }
        }
        for layer in 0..<layers {
            let path = "transformer.h.\(layer)"
            let qkv = h.map { linear(norm($0, "\(path).ln_1"), "\(path).attn.c_attn") }
            for (row, context) in attention(qkv, layer: layer).enumerated() {
                put(linear(context, "\(path).attn.c_proj"), into: &h[row], at: path + ".attention_adapters")
                let inner = linear(norm(h[row], "\(path).ln_2"), "\(path).mlp.c_fc").map(activate)
                put(linear(inner, "\(path).mlp.c_proj"), into: &h[row], at: path + ".output_adapters")
            }
        }
        let head = values["lm_head.weight"] ?? tokenTable
        return h.dropFirst(leadingCount).map { row in
            let row = norm(row, "transformer.ln_f")
            return (0..<head.count / width).map { token in
                (0..<width).reduce(0) { $0 + row[$1] * head[token * width + $1] }
            }
        }
    }

    private func value(_ name: String) -> [Double] {
        guard let found = values[name] else { preconditionFailure("ScalarGPT2: no \(name)") }
        return found
    }

    private func put(_ f: [Double], into h: inout [Double], at path: String) {
        if let join { h = join(values, path, h, f) } else { add(f, to: &h) }
    }

    private func add(_ x: [Double], to y: inout [Double]) {
        for i in x.indices { y[i] += x[i] }
    }

    private func norm(_ x: [Double], _ path: String) -> [Double] {
        let (weight, bias) = (value(path + ".weight"), value(path + ".bias"))
        let mean = x.reduce(0, +) / Double(x.count)
        let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
        return x.indices.map { (x[$0] - mean) / (variance + epsilon).squareRoot() * weight[$0] + bias[$0] }
    }

    private func linear(_ x: [Double], _ path: String) -> [Double] {
        let weight = value(path + ".weight")
        var y = value(path + ".bias")
        for i in x.indices {
            for j in y.indices { y[j] += x[i] * weight[i * y.count + j] }
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

    private func attention(_ qkv: [[Double]], layer: Int) -> [[Double]] {
        let size = width / heads
        var scale = scalesScores ? 1 / Double(size).squareRoot() : 1
        if scalesScoresByLayer { scale /= Double(layer + 1) }
        let prefix = prefixCount > 0 ? value("prefix") : []
        // A query, a key or a value of the prefix or of a row of the sequence, as they stand in a packed row.
        func number(_ row: Int, _ column: Int) -> Double {
            if row >= 0 { return qkv[row][column] }
            return prefix[((prefixCount + row) * layers + layer) * 2 * width + column - width]
        }
        return qkv.indices.map { row in
            var y = [Double](repeating: 0, count: width)
            for head in 0..<heads {
                let columns = head * size..<(head + 1) * size
                let scores = (-prefixCount...row).map { other in
                    columns.reduce(0) { $0 + qkv[row][$1] * number(other, width + $1) } * scale
                }
                let largest = scores.max() ?? 0
                let weights = scores.map { exp($0 - largest) }
                let sum = weights.reduce(0, +)
                for (index, weight) in weights.enumerated() {
                    for column in columns {
                        y[column] += weight / sum * number(index - prefixCount, 2 * width + column)
                    }
                }
            }
            return y
        }
    }

    private func activate(_ x: Double) -> Double {
        switch activation {
        case "gelu": 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
        case "relu": max(x, 0)
        case "silu": x / (1 + exp(-x))
        default: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
        }
    }
}
