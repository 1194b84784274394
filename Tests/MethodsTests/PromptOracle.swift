import Glibc
import Methods
import Testing

/// A learned prompt in the formula in double precision.
struct PromptOracle: Sendable {
    var leading = 0
    var prefix = 0
    /// The rate at which the loss falls in a few steps: prompts want larger ones than weights.
    var learningRate: Float = 0.2
    /// What the encoder makes of the parameters, by the names that the formula knows.
    var derive: @Sendable ([String: [Double]]) -> [String: [Double]]

    var positionCount: Int { leading + prefix }

    /// The trained vectors themselves.
    static func leading(_ count: Int) -> PromptOracle {
        PromptOracle(leading: count, learningRate: 0.7, derive: { ["virtual_tokens": $0["prompt_embeddings"] ?? []] })
    }

    static func prefix(_ count: Int) -> PromptOracle {
        PromptOracle(prefix: count, derive: { ["prefix": $0["prompt_embeddings"] ?? []] })
    }

    /// A pair of its own for each attention of an encoder and a decoder.
    static func everyAttention(_ count: Int) -> PromptOracle {
        PromptOracle(
            prefix: count, derive: { ["every_attention_prefix": $0["prompt_embeddings"] ?? []] })
    }

    /// W₂ tanh(W₁ E + b₁) + b₂.
    static func projectedPrefix(_ count: Int) -> PromptOracle {
        PromptOracle(prefix: count) { values in
            let network = EncoderOracle(values: values)
            return [
                "prefix": network.rows("transform.0").flatMap {
                    network("transform.2", network("transform.0", $0).map(tanh))
                }
            ]
        }
    }

    static func perceptron(_ count: Int) -> PromptOracle {
        PromptOracle(leading: count) { values in
            let network = EncoderOracle(values: values)
            return [
                "virtual_tokens": network.rows("mlp_head.0").flatMap { row in
                    let first = network("mlp_head.0", row).map { max(0, $0) }
                    return network("mlp_head.4", network("mlp_head.2", first).map { max(0, $0) })
                }
            ]
        }
    }

    static func memory(_ count: Int, layers: Int) -> PromptOracle {
        PromptOracle(leading: count) { values in
            let network = EncoderOracle(values: values)
            var rows = network.rows(count: count)
            for layer in 0..<layers {
                let forward = network.lstm("l\(layer)", rows)
                let backward = network.lstm("l\(layer)_reverse", rows.reversed()).reversed()
                rows = zip(forward, backward).map { $0 + $1 }
            }
            return [
                "virtual_tokens": rows.flatMap { network("mlp_head.2", network("mlp_head.0", $0).map { max(0, $0) }) }
            ]
        }
    }
}

/// peft's encoders, one number at a time.
private struct EncoderOracle {
    let values: [String: [Double]]

    /// As wide as what the layer of that name reads, however many there are.
    func rows(_ layer: String) -> [[Double]] {
        let width = (values[layer + ".weight"] ?? []).count / (values[layer + ".bias"] ?? []).count
        return rows(count: (values["embedding.weight"] ?? []).count / width)
    }

    func rows(count: Int) -> [[Double]] {
        let table = values["embedding.weight"] ?? []
        let width = table.count / count
        return (0..<count).map { Array(table[$0 * width..<($0 + 1) * width]) }
    }

    /// W x + b
    func callAsFunction(_ name: String, _ x: [Double]) -> [Double] {
        product(values[name + ".weight"] ?? [], x, values[name + ".bias"] ?? [])
    }

    private func product(_ weight: [Double], _ x: [Double], _ bias: [Double]) -> [Double] {
        bias.indices.map { row in x.indices.reduce(bias[row]) { $0 + weight[row * x.count + $1] * x[$1] } }
    }

    func lstm(_ suffix: String, _ inputs: [[Double]]) -> [[Double]] {
        func value(_ kind: String) -> [Double] { values["lstm_head.\(kind)_\(suffix)"] ?? [] }
        let size = value("bias_ih").count / 4
        var (h, c) = ([Double](repeating: 0, count: size), [Double](repeating: 0, count: size))
        func logistic(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
        return inputs.map { x in
            let gates = zip(
                product(value("weight_ih"), x, value("bias_ih")), product(value("weight_hh"), h, value("bias_hh"))
            ).map { $0 + $1 }
            for j in 0..<size {
                c[j] = logistic(gates[size + j]) * c[j] + logistic(gates[j]) * tanh(gates[2 * size + j])
                h[j] = logistic(gates[3 * size + j]) * tanh(c[j])
            }
            return h
        }
    }
}

extension MethodCase {
    /// The methods that learn a prompt.
    static let prompts: [MethodCase] = [
        MethodCase(PromptTuning.self, #"{"num_virtual_tokens": 3}"#, changesOutput: true, prompt: .leading(3)),
        MethodCase(
            PromptTuning.self, #"{"num_virtual_tokens": 1, "modules_to_save": ["ln_f", "wpe"]}"#, tied: false,
            changesOutput: true, prompt: .leading(1)),
        MethodCase(
            PromptTuning.self, #"{"num_virtual_tokens": 4, "prompt_tuning_init": "SAMPLE_VOCAB"}"#,
            changesOutput: true, prompt: .leading(4)),
        MethodCase(PrefixTuning.self, #"{"num_virtual_tokens": 2}"#, changesOutput: true, prompt: .prefix(2)),
        MethodCase(
            PrefixTuning.self, #"{"num_virtual_tokens": 1, "modules_to_save": ["lm_head"]}"#, changesOutput: true,
            prompt: .prefix(1)),
        MethodCase(
            PrefixTuning.self,
            #"{"num_virtual_tokens": 3, "prefix_projection": true, "encoder_hidden_size": 5}"#,
            changesOutput: true, prompt: .projectedPrefix(3)),
        MethodCase(
            PTuning.self, #"{"num_virtual_tokens": 3, "encoder_hidden_size": 7}"#, changesOutput: true,
            prompt: .perceptron(3)),
        MethodCase(
            PTuning.self,
            #"""
            {"num_virtual_tokens": 3, "encoder_hidden_size": 4, "encoder_reparameterization_type": "LSTM",
             "encoder_dropout": 0.3}
            """#, changesOutput: true, prompt: .memory(3, layers: 2)),
        MethodCase(
            PTuning.self,
            #"""
            {"num_virtual_tokens": 2, "encoder_hidden_size": 3, "encoder_reparameterization_type": "LSTM",
             "encoder_num_layers": 1}
            """#, changesOutput: true, prompt: .memory(2, layers: 1)),
        MethodCase(PTuningV2.self, #"{"num_virtual_tokens": 2}"#, changesOutput: true, prompt: .prefix(2)),
        MethodCase(
            PTuningV2.self, #"{"num_virtual_tokens": 2, "prefix_projection": true, "encoder_hidden_size": 3}"#,
            changesOutput: true, prompt: .projectedPrefix(2)),
    ]
}
