import Batches
import Datasets
import Diagnostics
import Glibc
import Layers
package import Models
package import Tensors
import Tokenizers

/// Texts whose logits tell whether two models compute the same.
package struct MergeProbe {
    private let batch: TokenBatch

    package static let texts = [
        "The quick brown fox jumps over the lazy dog, and nobody at the inn by the river is surprised.",
        "name[The Eagle], eatType[coffee shop], food[Chinese], priceRange[moderate], area[riverside]\n",
        "In 1969, 3 of 7 (about 42.9 %) were not enough: why should it be otherwise today?",
    ]
    private static let randomTokens = 48

    /// Real text where there is a tokenizer, and random tokens in any case.
    package init(_ base: BaseModel) {
        var generator = RandomGenerator(seed: 1, stream: "merge.probe")
        let random = (0..<Self.randomTokens).map { _ in
            Int32(generator.nextUniform() * Double(base.model.vocabularySize))
        }
        let rows = Int32(clamping: base.model.vocabularySize)
        let codec = try? base.codec()
        let sequences = [random] + Self.texts.map { codec?.opening($0).filter { $0 < rows } ?? [] }
        let prompts = sequences.map { Array($0.prefix(base.model.maximumLength)) }.filter { !$0.isEmpty }
        guard base.model.hasEncoder else {
            batch = TokenBatch(newTokens: prompts, positions: prompts.map { _ in 0 })
            return
        }
        var batch = TokenBatch(sequences: prompts.map { base.model.opening($0) + $0 })
        batch.source = SourceRows(prompts)
        self.batch = batch
    }

    package func logits(_ model: any LanguageModel) -> Tensor { model.logits(batch, rows: nil, .inference()) }

    /// The mean loss of the probe's texts, or of its random tokens where there are no texts, in nats a token; nil where the
    /// logits aren't those of a language model.
    package func loss(_ logits: Tensor, of model: any LanguageModel) -> Double? {
        guard model.taskHead == nil, logits.columnCount == model.vocabularySize else { return nil }
        let first = batch.sequenceCount > 1 ? 1 : 0
        var (sum, count) = (0.0, 0)
        for sequence in first..<batch.sequenceCount {
            for row in batch.offsets[sequence]..<max(batch.offsets[sequence], batch.offsets[sequence + 1] - 1) {
                let scores = logits.data + row * logits.columnCount
                let largest = (0..<logits.columnCount).reduce(-Float.infinity) { max($0, scores[$1]) }
                let total = (0..<logits.columnCount).reduce(0.0) { $0 + exp(Double(scores[$1] - largest)) }
                sum += log(total) - Double(scores[Int(batch.tokens[row + 1])] - largest)
                count += 1
            }
        }
        return count == 0 ? nil : sum / Double(count)
    }

    /// How far a model's logits move by rounding alone: by the last bit of the weights named `changed`, which stay so. Where
    /// scores are large, as T5's can be, small differences grow.
    func noise(of model: any LanguageModel, changed: Set<String>) -> Double {
        let before = logits(model)
        var generator = RandomGenerator(seed: 2, stream: "merge.probe")
        for parameter in model.parameters where changed.contains(parameter.name) {
            let moved = parameter.tensor.copy()
            for i in 0..<moved.count { moved.data[i] *= generator.nextUniform() < 0.5 ? 1 - 0x1p-23 : 1 + 0x1p-23 }
            parameter.tensor = moved
        }
        return Self.difference(logits(model), before)
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
