import Glibc

/// Llama's forward pass in double precision, and that of its kin: windows, norms of heads, shared keys and values.
public struct ScalarLlama: ScalarModel {
    public var width: Int
    public var layers: Int
    public var heads: Int
    public var keyValueHeads: Int
    public var headSize: Int
    public var inner: Int
    public var theta = 10_000.0
    public var epsilon = 1e-6
    /// The most tokens that a query sees; nil for all.
    public var window: Int?
    public var prompt = ScalarPrompt()
    public var lowRankScales: [String: Double] = [:]
    public var values: [String: [Double]] = [:]
    public var join: ScalarJoin?

    public init(width: Int, layers: Int, heads: Int, keyValueHeads: Int, headSize: Int, inner: Int) {
        (self.width, self.layers, self.heads, self.inner) = (width, layers, heads, inner)
        (self.keyValueHeads, self.headSize) = (keyValueHeads, headSize)
    }

    public var tokenTable: String { "model.embed_tokens" }

    public func inputs(of path: String) -> Int {
        path.hasSuffix("down_proj") ? inner : path.hasSuffix("o_proj") ? heads * headSize : width
    }

    public func isInputByOutput(_ path: String) -> Bool { false }

    public func plainLogits(_ tokens: [Int32]) -> [[Double]] {
        let table = value("model.embed_tokens.weight")
        let all = (0..<prompt.leadingCount).map { -1 - Int($0) } + tokens.map(Int.init)
        var h = all.map { token in
            let (table, index) = token < 0 ? (value("virtual_tokens"), -1 - token) : (table, token)
            return Array(table[index * width..<(index + 1) * width])
        }
        for layer in 0..<layers {
            let path = "model.layers.\(layer)"
            let contexts = attention(h.map { norm($0, "\(path).input_layernorm") }, layer, "\(path).self_attn")
            for (row, context) in contexts.enumerated() {
                put(linear(context, "\(path).self_attn.o_proj"), into: &h[row], at: path + ".attention_adapters")
                let n = norm(h[row], "\(path).post_attention_layernorm")
                let inner = zip(linear(n, "\(path).mlp.gate_proj"), linear(n, "\(path).mlp.up_proj")).map {
                    $0 / (1 + exp(-$0)) * $1
                }
                put(linear(inner, "\(path).mlp.down_proj"), into: &h[row], at: path + ".output_adapters")
            }
        }
        let head = values["lm_head.weight"] ?? table
        return h.dropFirst(prompt.leadingCount).map { row in
            let row = norm(row, "model.norm")
            return (0..<head.count / width).map { token in
                (0..<width).reduce(0) { $0 + row[$1] * head[token * width + $1] }
            }
        }
    }

    private func norm(_ x: [Double], _ path: String) -> [Double] {
        let weight = value(path + ".weight")
        let square = x.reduce(0) { $0 + $1 * $1 } / Double(x.count)
        return x.indices.map { x[$0] / (square + epsilon).squareRoot() * weight[$0] }
    }

    /// Each head's norm, where there is one, and its turn by the position.
    private func turnedHeads(_ x: [Double], _ path: String, at position: Int) -> [Double] {
        stride(from: 0, to: x.count, by: headSize).flatMap { start in
            var head = Array(x[start..<start + headSize])
            if values[path + ".weight"] != nil { head = norm(head, path) }
            return turned(head, columns: headSize, by: position, theta: theta)
        }
    }

    private func attention(_ rows: [[Double]], _ layer: Int, _ path: String) -> [[Double]] {
        let before = prompt.prefixCount
        func project(_ name: String) -> [[Double]] { rows.map { linear($0, "\(path).\(name)_proj") } }
        func turn(_ rows: [[Double]], _ name: String) -> [[Double]] {
            rows.enumerated().map { turnedHeads($1, "\(path).\(name)_norm", at: $0 + before) }
        }
        let (queries, keys, values) = (turn(project("q"), "q"), turn(project("k"), "k"), project("v"))
        let prefix = before > 0 ? value("prefix") : []
        let keyWidth = keyValueHeads * headSize
        func stored(_ place: Int, _ column: Int) -> Double {
            prefix[((before + place) * layers + layer) * 2 * keyWidth + column]
        }
        return rows.indices.map { row in
            let first = window.map { max(-before, row - $0 + 1) } ?? -before
            return softmaxAttention(
                heads: heads, size: headSize, groups: heads / keyValueHeads, scale: 1 / Double(headSize).squareRoot(),
                places: Array(first...row), query: { queries[row][$0] },
                key: { $0 < 0 ? stored($0, $1) : keys[$0][$1] },
                value: { $0 < 0 ? stored($0, keyWidth + $1) : values[$0][$1] })
        }
    }
}
