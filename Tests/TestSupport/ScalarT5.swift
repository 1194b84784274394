import Glibc

/// T5's forward pass in double precision: the encoder over `source(of:)` a sequence, the decoder over the sequence itself.
public struct ScalarT5: ScalarModel {
    public var width: Int
    public var layers: Int
    public var heads: Int
    public var headSize: Int
    public var inner: Int
    public var buckets: Int
    public var maximumDistance: Int
    /// gelu_new(wi_0 x) ∘ wi_1 x instead of relu(wi x).
    public var isGated = false
    public var scalesOutput = true
    public var epsilon = 1e-6
    public var prompt = ScalarPrompt()
    public var lowRankScales: [String: Double] = [:]
    public var values: [String: [Double]] = [:]
    public var join: ScalarJoin?

    public init(
        width: Int, layers: Int, heads: Int, headSize: Int, inner: Int, buckets: Int, maximumDistance: Int
    ) {
        (self.width, self.layers, self.heads, self.inner) = (width, layers, heads, inner)
        (self.headSize, self.buckets, self.maximumDistance) = (headSize, buckets, maximumDistance)
    }

    /// What the encoder reads for a sequence: one token more than that has.
    public static func source(of tokens: [Int32]) -> [Int32] { [7] + tokens.reversed() }

    public var tokenTable: String { "shared" }

    public func inputs(of path: String) -> Int {
        path.hasSuffix(".wo") ? inner : path.hasSuffix(".o") ? heads * headSize : width
    }

    public func isInputByOutput(_ path: String) -> Bool { false }

    public func plainLogits(_ tokens: [Int32]) -> [[Double]] {
        let table = value("shared.weight")
        func rows(_ tokens: [Int]) -> [[Double]] {
            tokens.map { token in
                let (table, index) = token < 0 ? (value("virtual_tokens"), -1 - token) : (table, token)
                return Array(table[index * width..<(index + 1) * width])
            }
        }
        let source = (0..<prompt.leadingCount).map { -1 - $0 } + Self.source(of: tokens).map(Int.init)
        let memory = stack("encoder", rows(source), memory: nil)
        let head = values["lm_head.weight"] ?? table
        return stack("decoder", rows(tokens.map(Int.init)), memory: memory).map { row in
            let row = scalesOutput ? row.map { $0 / Double(width).squareRoot() } : row
            return (0..<head.count / width).map { token in
                (0..<width).reduce(0) { $0 + row[$1] * head[token * width + $1] }
            }
        }
    }

    private func stack(_ name: String, _ rows: [[Double]], memory: [[Double]]?) -> [[Double]] {
        var h = rows
        for layer in 0..<layers {
            let path = "\(name).block.\(layer).layer"
            func attend(_ index: Int, _ kind: String, _ keys: [[Double]]?) {
                let n = h.map { norm($0, "\(path).\(index).layer_norm") }
                let contexts = attention(name, kind, layer, "\(path).\(index).\(kind)", n, keys ?? n)
                for (row, context) in contexts.enumerated() {
                    put(linear(context, "\(path).\(index).\(kind).o"), into: &h[row], at: "\(path).\(index)")
                }
            }
            attend(0, "SelfAttention", nil)
            if let memory { attend(1, "EncDecAttention", memory) }
            let last = memory == nil ? 1 : 2
            for row in h.indices {
                let n = norm(h[row], "\(path).\(last).layer_norm")
                let dense = "\(path).\(last).DenseReluDense"
                let f =
                    isGated
                    ? zip(linear(n, dense + ".wi_0").map(gelu), linear(n, dense + ".wi_1")).map { $0 * $1 }
                    : linear(n, dense + ".wi").map { max($0, 0) }
                put(linear(f, dense + ".wo"), into: &h[row], at: "\(path).\(last)")
            }
        }
        return h.map { norm($0, "\(name).final_layer_norm") }
    }

    private func gelu(_ x: Double) -> Double {
        0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    }

    private func norm(_ x: [Double], _ path: String) -> [Double] {
        let weight = value(path + ".weight")
        let square = x.reduce(0) { $0 + $1 * $1 } / Double(x.count)
        return x.indices.map { x[$0] / (square + epsilon).squareRoot() * weight[$0] }
    }

    /// The pair of keys and values of the prefix in front of an attention; nil where there is none.
    private func pair(_ name: String, _ kind: String, _ layer: Int) -> (values: [Double], number: Int, count: Int)? {
        let isCross = kind == "EncDecAttention"
        if let every = values["every_attention_prefix"] {
            let number = name == "encoder" ? layer : isCross ? 2 * layers + layer : layers + layer
            return (every, number, 3 * layers)
        }
        guard name == "decoder", !isCross else { return nil }
        // As peft deals them out to an encoder and a decoder.
        return values["prefix"].map { ($0, 2 * layer % layers, layers) }
    }

    private func attention(
        _ name: String, _ kind: String, _ layer: Int, _ path: String, _ rows: [[Double]], _ others: [[Double]]
    ) -> [[Double]] {
        let isCross = kind == "EncDecAttention"
        let queries = rows.map { linear($0, path + ".q") }
        let (keys, values) = (others.map { linear($0, path + ".k") }, others.map { linear($0, path + ".v") })
        let keyWidth = heads * headSize
        let pair = pair(name, kind, layer)
        let before = pair == nil ? 0 : prompt.prefixCount
        func stored(_ place: Int, _ column: Int) -> Double {
            guard let pair else { return 0 }
            return pair.values[((before + place) * pair.count + pair.number) * 2 * keyWidth + column]
        }
        let table = isCross ? nil : value("\(name).block.0.layer.0.SelfAttention.relative_attention_bias.weight")
        let isCausal = name == "decoder" && !isCross
        return rows.indices.map { row in
            let places = Array(-before..<(isCausal ? row + 1 : others.count))
            return (0..<heads).flatMap { head in
                let scores = places.map { place in
                    (0..<headSize).reduce(table.map { $0[bucket(place - row, !isCausal) * heads + head] } ?? 0) {
                        let column = head * headSize + $1
                        return $0 + queries[row][column] * (place < 0 ? stored(place, column) : keys[place][column])
                    }
                }
                let largest = scores.max() ?? 0
                let weights = scores.map { exp($0 - largest) }
                let sum = weights.reduce(0, +)
                return (0..<headSize).map { index in
                    let column = head * headSize + index
                    return zip(weights, places).reduce(0) {
                        $0 + $1.0 / sum
                            * ($1.1 < 0 ? stored($1.1, keyWidth + column) : values[$1.1][column])
                    }
                }
            }
        }
    }

    private func bucket(_ distance: Int, _ isBidirectional: Bool) -> Int {
        let count = isBidirectional ? buckets / 2 : buckets
        let length = isBidirectional ? abs(distance) : max(0, -distance)
        let first = isBidirectional && distance > 0 ? count : 0
        let exact = count / 2
        if length < exact { return first + length }
        let share = log(Double(length) / Double(exact)) / log(Double(maximumDistance) / Double(exact))
        return first + min(count - 1, exact + Int(share * Double(count - exact)))
    }
}
