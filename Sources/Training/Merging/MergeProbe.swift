import Batches
import Datasets
import Diagnostics
import Layers
import Models
import Tensors
import Tokenizers

/// Texts whose logits tell whether two models compute the same.
struct MergeProbe {
    private let batch: TokenBatch
    /// Each text by itself.
    private let alone: [TokenBatch]

    private static let texts = [
        "The quick brown fox jumps over the lazy dog, and nobody at the inn by the river is surprised.",
        "name[The Eagle], eatType[coffee shop], food[Chinese], priceRange[moderate], area[riverside]\n",
        "In 1969, 3 of 7 (about 42.9 %) were not enough: why should it be otherwise today?",
    ]
    private static let randomTokens = 48

    /// Real text where there is a tokenizer, and random tokens in any case.
    init(_ base: BaseModel) {
        var generator = RandomGenerator(seed: 1, stream: "merge.probe")
        let random = (0..<Self.randomTokens).map { _ in
            Int32(generator.nextUniform() * Double(base.model.vocabularySize))
        }
        let rows = Int32(clamping: base.model.vocabularySize)
        let codec = try? base.codec()
        let sequences = [random] + Self.texts.map { codec?.opening($0).filter { $0 < rows } ?? [] }
        let prompts = sequences.map { Array($0.prefix(base.model.maximumLength)) }.filter { !$0.isEmpty }
        func made(_ prompts: [[Int32]]) -> TokenBatch {
            guard base.model.hasEncoder else {
                return TokenBatch(newTokens: prompts, positions: prompts.map { _ in 0 })
            }
            var batch = TokenBatch(sequences: prompts.map { base.model.opening($0) + $0 })
            batch.source = SourceRows(prompts)
            return batch
        }
        batch = made(prompts)
        alone = prompts.map { made([$0]) }
    }

    func logits(_ model: any LanguageModel) -> Tensor { model.logits(batch, rows: nil, .inference()) }

    /// How far a model's logits move by rounding alone: between all texts in one pass, whose sums are taken in one order,
    /// and each by itself, whose sums are in another. Where scores are large, as T5's can be, small differences grow.
    func noise(of model: any LanguageModel) -> Double {
        let together = logits(model)
        let apart = alone.map { model.logits($0, rows: nil, .inference()).values }
        return Self.difference(Tensor(apart.flatMap { $0 }, shape: together.shape), together)
    }

    /// The largest difference relative to the largest expected logit; infinite where something isn't a number.
    static func difference(_ found: Tensor, _ expected: Tensor) -> Double {
        require(found.shape == expected.shape, "MergeProbe: logits \(found.shape) and \(expected.shape)")
        var (largest, scale): (Float, Float) = (0, 0)
        for index in 0..<found.count {
            let difference = (found.data[index] - expected.data[index]).magnitude
            if !difference.isFinite { return .infinity }
            largest = max(largest, difference)
            scale = max(scale, expected.data[index].magnitude)
        }
        return largest == 0 ? 0 : Double(largest) / Double(scale)
    }
}
