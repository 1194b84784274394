import Batches
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing

@Suite("A learned prompt") struct PromptTests {
    private func vectors(_ method: any PEFTMethod.Type, _ settings: String) throws -> (SmallModel, [[Float]]) {
        let small = try SmallModel(positions: 20)
        let trainable = try small.install(method, settings).trainable
        let table = try #require(trainable.first).tensor
        let (values, width) = (table.values, table.columnCount)
        return (small, (0..<table.rowCount).map { Array(values[$0 * width..<($0 + 1) * width]) })
    }

    private func row(_ small: SmallModel, _ token: Int) -> [Float] {
        let width = SmallModel.width
        return Array(small.model.tokenEmbedding.tensor.values[token * width..<(token + 1) * width])
    }

    @Test("begins with the vectors of a text, repeated or cut, or of tokens of the vocabulary, or at random")
    func beginnings() throws {
        // The small model's tokens are the bytes modulo 11.
        let text = #"{"num_virtual_tokens": N, "prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "abc"}"#
        for count in [2, 3, 7] {
            let (small, found) = try vectors(PromptTuning.self, text.replacing("N", with: "\(count)"))
            let tokens = "abc".utf8.map { Int($0) % SmallModel.vocabulary }
            #expect(found == (0..<count).map { row(small, tokens[$0 % 3]) })
        }
        let (small, sampled) = try vectors(
            PromptTuning.self, #"{"num_virtual_tokens": 8, "prompt_tuning_init": "SAMPLE_VOCAB"}"#)
        let all = (0..<SmallModel.vocabulary).map { row(small, $0) }
        #expect(sampled.allSatisfy { all.contains($0) } && Set(sampled).count > 2)
        let random = try vectors(PrefixTuning.self, #"{"num_virtual_tokens": 18}"#).1.flatMap { $0 }
        let mean = random.reduce(0, +) / Float(random.count)
        let variance = random.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(random.count)
        #expect(abs(mean) < 0.1 && abs(variance - 1) < 0.15)
        let zero = try vectors(PrefixTuning.self, #"{"num_virtual_tokens": 2, "init_weights": "zero"}"#).1
        #expect(zero.allSatisfy { $0.allSatisfy { $0 == 0 } })
    }

    @Test("is decayed but for the biases of its encoder, as the Trainer does")
    func decay() throws {
        let trainable = try SmallModel(positions: 20).install(
            PTuning.self,
            #"""
            {"num_virtual_tokens": 2, "encoder_reparameterization_type": "LSTM", "encoder_hidden_size": 3,
             "modules_to_save": ["ln_f"]}
            """#
        ).trainable
        for parameter in trainable {
            #expect(
                parameter.decays == !(parameter.name.contains("bias") || parameter.name.contains("ln_f")),
                "\(parameter.name)")
        }
        #expect(trainable.count == 1 + 16 + 4 + 2)
    }

    @Test("is delivered as its encoder computes it, without the encoder")
    func delivery() throws {
        let small = try SmallModel(positions: 20)
        let settings = #"{"num_virtual_tokens": 2, "prefix_projection": true, "encoder_hidden_size": 3}"#
        let installation = try small.install(PrefixTuning.self, settings)
        randomise(installation)
        guard case .adapter(let configuration, let tensors) = installation.deliver() else {
            Issue.record("no adapter was delivered")
            return
        }
        #expect(tensors.map(\.name) == ["prompt_embeddings"] && tensors[0].tensor.shape == [2, 32])
        #expect(!tensors[0].tensor.needsGradient)
        let logits = small.logits
        installation.remove()
        let loaded = try make(PrefixTuning.self, section(configuration.text(.compact))).install(
            into: small.model, InstallationContext(seed: 9, basePath: "base", isTraining: false))
        try loaded.load(["prompt_embeddings": tensors[0].tensor], file: "file")
        #expect(small.logits == logits)
        #expect(installation.trainingState.map(\.name) == installation.trainable.map(\.name))
    }

    @Test("can't go on from vectors whose encoder is gone")
    func withoutEncoder() throws {
        let settings = #"{"num_virtual_tokens": 2, "encoder_hidden_size": 3}"#
        let installation = try SmallModel(positions: 20).install(PTuning.self, settings)
        #expect(
            complaint { try installation.load(["prompt_embeddings": Tensor(zeros: [2, 8])], file: "a") } == """
                a: error: the adapter's vectors came from an encoder, which its files don't hold, so that training can't \
                go on from them: resume the run instead
                """)
    }

    @Test("in front gives what its vectors give at the beginning of the data's tokens")
    func placed() throws {
        let small = try SmallModel(positions: 20)
        let front = try small.install(PTuning.self, #"{"num_virtual_tokens": 3, "encoder_hidden_size": 3}"#)
        let expected = small.logits
        front.remove()
        let settings = #"{"num_virtual_tokens": 3, "encoder_hidden_size": 3, "virtual_token_placement": "template"}"#
        let installation = try small.install(PTuning.self, settings)
        let sequences = SmallModel.sequences.map { [-1, -2, -3] + $0.tokens }
        let batch = TokenBatch(sequences: sequences)
        let rows = batch.tokens.indices.filter { batch.tokens[$0] >= 0 }
        let found = small.model.logits(batch, rows: rows, .inference()).values
        #expect(relativeDifference(found, expected) <= 1e-6)
        #expect(small.model.maximumLength == 20)
        guard case .adapter(let configuration, let tensors) = installation.deliver() else {
            Issue.record("no adapter was delivered")
            return
        }
        #expect(tensors.map(\.name) == ["placed_prompt_embeddings"])
        #expect(try JSONNode.parse(configuration.text(.python)).string("virtual_token_placement") == "template")
    }

    @Test("anywhere in the sequences gets the gradients of the formula in double precision")
    func placedGradients() throws {
        var small = try SmallModel(positions: 20)
        small.oracle.prompt.derive = PromptOracle.perceptron(3).derive
        let settings = #"{"num_virtual_tokens": 3, "encoder_hidden_size": 5, "virtual_token_placement": "template"}"#
        let installation = try small.install(PTuning.self, settings)
        randomise(installation)
        let sequences: [(tokens: [Int32], labels: [Int32])] = [
            ([-1, 4, -2, 1, -3], [-1, -1, 3, -1, 5]), ([-1, -2, 9, -3, 2], [-1, -1, -1, 7, 8]),
        ]
        for parameter in small.model.parameters {
            small.oracle.values[parameter.name] = parameter.tensor.values.map(Double.init)
        }
        for parameter in installation.trainable {
            small.oracle.values[parameter.name] = parameter.tensor.values.map(Double.init)
        }
        var batch = TokenBatch(sequences: sequences.map(\.tokens))
        batch.labels = sequences.flatMap(\.labels)
        let loss = small.model.loss(batch, scale: 1, .inference())
        loss.tensor.backward()
        #expect(abs(loss.sum - small.oracle.loss(sequences)) <= 1e-5 * loss.sum)
        for parameter in installation.trainable {
            let gradient = try #require(parameter.tensor.gradient).values.map(Double.init)
            let differences = gradient.indices.map { index in
                func moved(_ step: Double) -> Double {
                    var changed = small.oracle
                    changed.values[parameter.name]?[index] += step
                    return changed.loss(sequences)
                }
                return (moved(1e-5) - moved(-1e-5)) / 2e-5
            }
            let largest = differences.reduce(0) { max($0, $1.magnitude) }
            let difference = zip(gradient, differences).reduce(0) { max($0, ($1.0 - $1.1).magnitude) }
            #expect(difference <= 1e-4 * largest, "\(parameter.name)")
        }
    }

    @Test("is dropped out in training where P-tuning v2 says so")
    func dropout() throws {
        let small = try SmallModel(positions: 20)
        let trainable = try small.install(PTuningV2.self, #"{"num_virtual_tokens": 4, "prefix_dropout": 0.5}"#)
            .trainable
        let losses: [Double] = [.inference(), .training(seed: 1, pass: 0), .training(seed: 1, pass: 0)].map {
            small.lossWithGradients(trainable, $0)
        }
        #expect(losses[0] != losses[1] && losses[1] == losses[2])
    }
}
