public import Layers

extension GPT2 {
    public func biases(_ role: BiasRole) -> [BiasPart] {
        let (ending, third): (String, Int?) =
            switch role {
            case .query: (".attn.c_attn.bias", 0)
            case .key: (".attn.c_attn.bias", 1)
            case .value: (".attn.c_attn.bias", 2)
            case .attentionOutput: (".attn.c_proj.bias", nil)
            case .intermediate: (".mlp.c_fc.bias", nil)
            case .output: (".mlp.c_proj.bias", nil)
            case .norm: (".bias", nil)
            }
        return parameters.compactMap { parameter in
            guard parameter.name.hasSuffix(ending), role != .norm || parameter.name.contains(".ln_") else { return nil }
            // c_attn computes queries, keys and values side by side.
            let width = parameter.count / 3
            return BiasPart(parameter, elements: third.map { $0 * width..<($0 + 1) * width })
        }
    }
}
