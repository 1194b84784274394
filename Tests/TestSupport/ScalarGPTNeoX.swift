import Glibc

/// GPT-NeoX's forward pass in double precision.
public struct ScalarGPTNeoX: ScalarModel {
    public var width: Int
    public var layers: Int
    public var heads: Int
    public var inner: Int
    /// The columns of a head that turn.
    public var turning: Int
    public var isParallel = true
    public var epsilon = 1e-5
    public var prompt = ScalarPrompt()
    public var lowRankScales: [String: Double] = [:]
    public var values: [String: [Double]] = [:]
    public var join: ScalarJoin?

    public init(width: Int, layers: Int, heads: Int, inner: Int, turning: Int) {
        (self.width, self.layers, self.heads) = (width, layers, heads)
        (self.inner, self.turning) = (inner, turning)
    }

    public var tokenTable: String { "gpt_neox.embed_in" }

    public func inputs(of path: String) -> Int { path.hasSuffix("dense_4h_to_h") ? inner : width }

    public func isInputByOutput(_ path: String) -> Bool { false }

    public func plainLogits(_ tokens: [Int32]) -> [[Double]] {
        let table = value("gpt_neox.embed_in.weight")
        let all = (0..<prompt.leadingCount).map { -1 - Int($0) } + tokens.map(Int.init)
        var h = all.map { token in
            let (table, index) = token < 0 ? (value("virtual_tokens"), -1 - token) : (table, token)
            return Array(table[index * width..<(index + 1) * width])
        }
        for layer in 0..<layers {
            let path = "gpt_neox.layers.\(layer)"
            let qkv = h.map {
                linear(layerNorm($0, "\(path).input_layernorm", epsilon), "\(path).attention.query_key_value")
            }
            for (row, context) in attention(qkv, layer).enumerated() {
                let before = h[row]
                put(linear(context, "\(path).attention.dense"), into: &h[row], at: path + ".attention_adapters")
                let n = layerNorm(isParallel ? before : h[row], "\(path).post_attention_layernorm", epsilon)
                let inner = linear(n, "\(path).mlp.dense_h_to_4h").map { 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) }
                put(linear(inner, "\(path).mlp.dense_4h_to_h"), into: &h[row], at: path + ".output_adapters")
            }
        }
        let head = values["lm_head.weight"] ?? table
        return h.dropFirst(prompt.leadingCount).map { row in
            let row = layerNorm(row, "gpt_neox.final_layer_norm", epsilon)
            return (0..<head.count / width).map { token in
                (0..<width).reduce(0) { $0 + row[$1] * head[token * width + $1] }
            }
        }
    }

    /// - Parameter qkv: Head by head its query, its key and its value.
    private func attention(_ qkv: [[Double]], _ layer: Int) -> [[Double]] {
        let (size, before) = (width / heads, prompt.prefixCount)
        func part(_ index: Int, turns: Bool) -> [[Double]] {
            qkv.enumerated().map { row, x in
                (0..<heads).flatMap { head in
                    let first = (3 * head + index) * size
                    let x = Array(x[first..<first + size])
                    return turns ? turned(x, columns: turning, by: row + before, theta: 10_000) : x
                }
            }
        }
        let (queries, keys, values) = (part(0, turns: true), part(1, turns: true), part(2, turns: false))
        let prefix = before > 0 ? value("prefix") : []
        func stored(_ place: Int, _ column: Int) -> Double {
            prefix[((before + place) * layers + layer) * 2 * width + column]
        }
        return qkv.indices.map { row in
            softmaxAttention(
                heads: heads, size: size, groups: 1, scale: 1 / Double(size).squareRoot(),
                places: Array(-before...row), query: { queries[row][$0] },
                key: { $0 < 0 ? stored($0, $1) : keys[$0][$1] },
                value: { $0 < 0 ? stored($0, width + $1) : values[$0][$1] })
        }
    }
}
