import Configuration
public import Layers
public import Tensors

/// What an installed LoRA adapter changes of one module: scale · B A, and of a linear layer's output scale times a bias.
public struct LowRankChange {
    public let path: String
    public let isEmbedding: Bool
    /// [r, inputs]; of an embedding [r, entries].
    public let a: Tensor
    /// [outputs, r]; of an embedding [width, r].
    public let b: Tensor
    public let scale: Float
    /// [outputs]
    public let bias: Tensor?
}

extension AdaptableModel {
    /// The changes of the LoRA adapter that is installed, in the order of the model's modules.
    public var lowRankChanges: [LowRankChange] {
        modules.compactMap { module in
            switch module.kind {
            case .linear(let linear): (linear.adapter as? LoRAPair)?.change
            case .embedding(let embedding): (embedding.adapter as? LoRAEmbedding)?.change
            case .norm, .container: nil
            }
        }
    }
}

extension LoRA {
    public var lowRankDropout: Float { settings.dropout }
    public var isRankStabilised: Bool { settings.isRankStabilised }

    /// - Throws: A `Problem` with the place of the setting that has no meaning in a combination of several adapters.
    public func checkCombination() throws {
        if settings.hasMagnitude {
            throw section.problem(
                "a trained length of the weights (DoRA) can't be combined with another: make an ordinary LoRA adapter of "
                    + "it first, by 'peft convert'", at: "use_dora")
        }
        if settings.initialization.changesBase {
            throw section.problem(
                "'\(settings.initialization.rawValue)' changed the base's weights too, so that the adapter is no change of "
                    + "that base: make an ordinary LoRA adapter of it first, by 'peft convert'", at: "init_lora_weights"
            )
        }
        if settings.bias != .none {
            throw section.problem(
                "biases of the model that were trained beside the adapter can't be combined, and peft loads no second "
                    + "adapter beside one that has some: merge without --combine", at: "bias")
        }
        if !settings.tokenRows.isEmpty {
            throw section.problem(
                "single rows of an embedding can't be combined: merge without --combine", at: "trainable_token_indices")
        }
    }
}
