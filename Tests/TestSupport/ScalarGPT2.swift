import Glibc

/// GPT-2's forward pass in double precision.
public struct ScalarGPT2: ScalarModel {
    public var width: Int
    public var heads: Int
    public var layers: Int
    public var epsilon = 1e-5
    public var activation = "gelu_new"
    public var scalesScores = true
    public var scalesScoresByLayer = false
    public var prompt = ScalarPrompt()
    public var lowRankScales: [String: Double] = [:]
    public var values: [String: [Double]] = [:]
    public var join: ScalarJoin?

    public init(width: Int, heads: Int, layers: Int) {
        (self.width, self.heads, self.layers) = (width, heads, layers)
    }

    public var tokenTable: String { "transformer.wte" }

    public func inputs(of path: String) -> Int {
        // Every layer but the second of the feed-forward has inputs as wide as the residual stream.
        path.hasSuffix("mlp.c_proj") ? value(path + ".weight").count / width : width
    }

    public func isInputByOutput(_ path: String) -> Bool { path != "lm_head" }

    public func plainLogits(_ tokens: [Int32]) -> [[Double]] {
        let (table, positions) = (value("transformer.wte.weight"), value("transformer.wpe.weight"))
        let all = (0..<prompt.leadingCount).map { -1 - Int($0) } + tokens.map(Int.init)
        var h = all.enumerated().map { row, token in
            let (table, index) = token < 0 ? (value("virtual_tokens"), -1 - token) : (table, token)
            let position = row + prompt.prefixCount
            return (0..<width).map { table[index * width + $0] + positions[position * width + $0] }
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
        let head = values["lm_head.weight"] ?? table
        return h.dropFirst(prompt.leadingCount).map { row in
            let row = norm(row, "transformer.ln_f")
            return (0..<head.count / width).map { token in
                (0..<width).reduce(0) { $0 + row[$1] * head[token * width + $1] }
            }
        }
    }

    private func norm(_ x: [Double], _ path: String) -> [Double] { layerNorm(x, path, epsilon) }

    private func attention(_ qkv: [[Double]], layer: Int) -> [[Double]] {
        let size = width / heads
        var scale = scalesScores ? 1 / Double(size).squareRoot() : 1
        if scalesScoresByLayer { scale /= Double(layer + 1) }
        let prefix = prompt.prefixCount > 0 ? value("prefix") : []
        // A query, a key or a value of the prefix or of a row of the sequence, as they stand in a packed row.
        func number(_ row: Int, _ column: Int) -> Double {
            if row >= 0 { return qkv[row][column] }
            return prefix[((prompt.prefixCount + row) * layers + layer) * 2 * width + column - width]
        }
        return qkv.indices.map { row in
            softmaxAttention(
                heads: heads, size: size, groups: 1, scale: scale, places: Array(-prompt.prefixCount...row),
                query: { number(row, $0) }, key: { number($0, width + $1) }, value: { number($0, 2 * width + $1) })
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
