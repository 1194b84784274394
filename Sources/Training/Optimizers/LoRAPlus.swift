import Configuration
import Diagnostics
import Methods
import Tensors

/// LoRA+ (Hayou et al. 2024): another learning rate for the second factor of a change than for the first, over any
/// optimizer, in the groups that peft's `create_loraplus_optimizer` makes.
public struct LoRAPlusSettings: Sendable, Hashable {
    /// The rate of B over that of A.
    let ratio: Double
    /// The rate of adapters of embeddings.
    let embeddingRate: Double
    let weightDecay: Double

    private static let key = "loraplus_lr_ratio"

    /// nil where the section asks for none.
    ///
    /// - Parameter otherDecay: `weight_decay`.
    init?(_ section: ConfigSection, otherDecay: Double) {
        let ratio = section.optionalDouble(Self.key, in: Above(0))
        embeddingRate = section.optionalDouble("loraplus_lr_embedding", in: 0...) ?? 1e-6
        weightDecay = section.optionalDouble("loraplus_weight_decay", in: 0...) ?? 0
        guard let ratio else {
            for key in ["loraplus_lr_embedding", "loraplus_weight_decay"] where section.has(key) {
                section.record("does nothing without \(Self.key)", at: key)
            }
            return nil
        }
        self.ratio = ratio
        if otherDecay > 0 {
            section.warn(
                "has no effect with \(Self.key), in peft neither: what decays then, and how much, says "
                    + "loraplus_weight_decay", at: "weight_decay")
        }
    }

    /// The parameters with their rates over `learningRate`.
    ///
    /// - Throws: `Problems` where no parameter is the second factor of a change.
    func grouped(
        _ parameters: [TrainableParameter], learningRate: Double, method: String, _ section: ConfigSection
    ) throws -> [TrainableParameter] {
        guard parameters.contains(where: { $0.name.contains("lora_B") }) else {
            throw Problems([
                section.problem(
                    "goes with low-rank changes, whose second factor it gives another rate (lora, adalora), and with "
                        + "method \(method) nothing of that kind trains", at: Self.key)
            ])
        }
        return parameters.map { parameter in
            var parameter = parameter
            if parameter.name.contains("lora_embedding_") {
                parameter.rateFactor = learningRate > 0 ? embeddingRate / learningRate : 0
            } else if parameter.name.contains("lora_B") || parameter.value.shape.count == 1 {
                parameter.rateFactor = ratio
            }
            return parameter
        }
    }
}
