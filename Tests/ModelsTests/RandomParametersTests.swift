import Configuration
import JSONText
import Layers
import Tensors
import Models
import Testing

@Suite("A model that begins at random") struct RandomParametersTests {
    private func model(seed: UInt64, layers: Int = 3) throws -> GPT2 {
        let text = """
            {"vocab_size": 300, "n_positions": 40, "n_embd": 64, "n_layer": \(layers), "n_head": 2,
             "initializer_range": 0.03, "tie_word_embeddings": false}
            """
        return try GPT2(
            configuration: ConfigDocument(json: JSONNode.parse(text)).root, source: RandomParameters(seed: seed))
    }

    @Test("has normal weights, those that end in the residual stream smaller, no biases, and norms of 1")
    func statistics() throws {
        for parameter in try model(seed: 3).parameters {
            let values = parameter.tensor.values.map(Double.init)
            if parameter.name.hasSuffix("bias") {
                #expect(values.allSatisfy { $0 == 0 }, "\(parameter.name)")
            } else if parameter.name.contains("ln_") {
                #expect(values.allSatisfy { $0 == 1 }, "\(parameter.name)")
            } else {
                let expected = parameter.name.contains("c_proj") ? 0.03 / 6.0.squareRoot() : 0.03
                let count = Double(values.count)
                let mean = values.reduce(0, +) / count
                let deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count).squareRoot()
                // Four standard errors, of the mean and of the deviation.
                #expect(abs(mean) < 4 * expected / count.squareRoot(), "\(parameter.name)")
                #expect(abs(deviation / expected - 1) < 4 / (2 * count).squareRoot(), "\(parameter.name)")
                #expect(values.contains { $0 > 3 * expected } && values.contains { $0 < -3 * expected })
            }
        }
    }

    @Test("has the same bits from the same seed, in every tensor others, and none that depend on the other layers")
    func seeds() throws {
        func values(_ model: GPT2) -> [String: [Float]] {
            Dictionary(uniqueKeysWithValues: model.parameters.map { ($0.name, $0.tensor.values) })
        }
        let first = values(try model(seed: 3))
        #expect(try first == values(model(seed: 3)))
        let other = values(try model(seed: 4))
        for (name, value) in first where !name.hasSuffix("bias") && !name.contains("ln_") {
            #expect(other[name] != value, "\(name)")
        }
        let names = first.keys.filter { $0.hasSuffix("c_fc.weight") }
        #expect(Set(names.compactMap { first[$0] }).count == 3)
        #expect(
            try values(model(seed: 3, layers: 1))["transformer.h.0.mlp.c_fc.weight"]
                == first["transformer.h.0.mlp.c_fc.weight"])
    }
}
