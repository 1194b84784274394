import Glibc
import JSONText

/// A bottleneck adapter's end of a sub-layer by AdapterHub's words, one number at a time.
struct BottleneckFormula {
    private let isParallel, joinsBefore, joinsAfter, keepsOutput: Bool
    private let scaling: Double?
    private let activation: String

    /// nil for a configuration of another method.
    init?(_ configuration: JSONValue) throws {
        let node = try JSONNode.parse(configuration.text(.compact))
        guard try node.string("peft_type") == "BOTTLENECK" else { return nil }
        isParallel = try node.boolean("is_parallel")
        joinsBefore = try node.boolean("original_ln_before")
        joinsAfter = try node.boolean("original_ln_after")
        keepsOutput = try node.boolean("residual_before_ln")
        scaling = if case .number(let s) = try node.required("scaling").plain { s } else { nil }
        activation = try node.string("non_linearity")
    }

    func join(_ values: [String: [Double]], _ path: String, _ h: [Double], _ f: [Double]) -> [Double] {
        func sum(_ a: [Double], _ b: [Double]) -> [Double] { zip(a, b).map { $0 + $1 } }
        let path = path + ".adapters"
        guard let down = values[path + ".adapter_down.0.weight"], let up = values[path + ".adapter_up.weight"],
            let downBias = values[path + ".adapter_down.0.bias"], let upBias = values[path + ".adapter_up.bias"]
        else { return sum(h, f) }
        let x = isParallel ? h : joinsBefore ? sum(h, f) : f
        let inner = downBias.indices.map { i in
            act(downBias[i] + x.indices.reduce(0) { $0 + down[i * x.count + $1] * x[$1] })
        }
        let scales = values[path + ".scaling"] ?? [scaling ?? 1]
        let outer = upBias.indices.map { i in
            let value = upBias[i] + inner.indices.reduce(0) { $0 + up[i * inner.count + $1] * inner[$1] }
            return value * scales[scales.count == 1 ? 0 : i]
        }
        let past = isParallel || keepsOutput ? f : x
        let all = sum(past, outer)
        return joinsAfter ? sum(all, h) : all
    }

    private func act(_ x: Double) -> Double {
        switch activation {
        case "relu": max(x, 0)
        case "gelu": 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
        case "swish", "silu": x / (1 + exp(-x))
        default: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
        }
    }
}
