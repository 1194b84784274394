import Checkpoints
import FoundationEssentials
import Layers
import Methods
import Tensors
import TestSupport
import Testing

@Suite("A bidirectional LSTM") struct BidirectionalLSTMTests {
    @Test("puts out what torch.nn.LSTM does, within 1e-5, with its names and shapes")
    func torch() throws {
        let file = try SafetensorsFile(path: fixture("prompts/lstm.safetensors").path(), warn: { _ in })
        let network = BidirectionalLSTM("lstm", inputs: 6, hidden: 5, layers: 2, dropout: 0.5, seed: 1)
        #expect(network.parameters.count == file.tensors.count - 2)
        for parameter in network.parameters {
            let found = try file.tensor(named: String(parameter.name.dropFirst("lstm.".count)))
            #expect(parameter.tensor.shape == found.shape)
            parameter.tensor.data.update(from: found.data, count: found.count)
        }
        let y = network(try file.tensor(named: "x"), .inference())
        let expected = try file.raw(named: "y").doubles()
        #expect(largestDifference(y.values.map(Double.init), expected) <= 1e-6)
    }

    @Test("drops out what one layer gives the next, in training alone")
    func dropout() {
        let network = BidirectionalLSTM("lstm", inputs: 6, hidden: 5, layers: 2, dropout: 0.5, seed: 1)
        let x = Tensor(noise(42), shape: [7, 6])
        let inference = network(x, .inference()).values
        #expect(network(x, .training(seed: 1, pass: 0)).values != inference)
        #expect(network(x, .training(seed: 1, pass: 0)).values == network(x, .training(seed: 1, pass: 0)).values)
        let single = BidirectionalLSTM("lstm", inputs: 6, hidden: 5, layers: 1, dropout: 0.5, seed: 1)
        #expect(single(x, .training(seed: 1, pass: 0)).values == single(x, .inference()).values)
    }
}
