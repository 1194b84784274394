import Layers
import Tensors

/// Where the vectors of a prompt come from: a table itself, or a small network over one.
protocol PromptEncoder: AnyObject {
    /// What trains, by peft's names.
    var parameters: [TrainableParameter] { get }

    /// The vectors, [virtual tokens, width of the prompt], with whatever is random in training.
    func vectors(_ context: ForwardContext) -> Tensor
}

/// The vectors themselves (Lester et al. 2021).
final class PromptTable: PromptEncoder {
    static let name = "prompt_embeddings"

    /// [virtual tokens, width of the prompt]
    let table: Tensor
    private let name: String

    init(_ table: Tensor, name: String = PromptTable.name) { (self.table, self.name) = (table, name) }

    /// N(0, 1), as `torch.nn.Embedding` begins; zeros without a seed.
    static func random(_ count: Int, _ width: Int, seed: UInt64?) -> Tensor {
        guard let seed else { return Tensor(zeros: [count, width]) }
        var generator = RandomGenerator(seed: seed, stream: name)
        let table = Tensor(uninitialized: [count, width])
        for i in 0..<table.count { table.data[i] = Float(generator.nextNormal()) }
        return table
    }

    var parameters: [TrainableParameter] { [TrainableParameter(name: name, tensor: table, decays: true)] }

    func vectors(_ context: ForwardContext) -> Tensor { table }
}

/// y = x Wᵀ + b of an encoder, in the layout and with the beginning of `torch.nn.Linear`: U(−1/√inputs, 1/√inputs).
struct EncoderLinear {
    /// [outputs, inputs]
    let weight: Tensor
    /// [outputs]
    let bias: Tensor
    private let name: String

    init(_ name: String, inputs: Int, outputs: Int, seed: UInt64) {
        self.name = name
        let bound = 1 / Float(inputs).squareRoot()
        weight = Tensor.uniform([outputs, inputs], bound: bound, seed: seed, stream: name + ".weight")
        bias = Tensor.uniform([outputs], bound: bound, seed: seed, stream: name + ".bias")
    }

    var parameters: [TrainableParameter] {
        [
            TrainableParameter(name: name + ".weight", tensor: weight, decays: true),
            TrainableParameter(name: name + ".bias", tensor: bias, decays: false),
        ]
    }

    func callAsFunction(_ x: Tensor, activation: Activation? = nil) -> Tensor {
        linear(
            x, DenseWeight(weight, isInputByOutput: false), bias: bias, lowRank: nil, activation: activation)
    }
}

extension Tensor {
    /// U(−bound, bound)
    static func uniform(_ shape: [Int], bound: Float, seed: UInt64, stream: String) -> Tensor {
        var generator = RandomGenerator(seed: seed, stream: stream)
        let tensor = Tensor(uninitialized: shape)
        for i in 0..<tensor.count { tensor.data[i] = bound * Float(2 * generator.nextUniform() - 1) }
        return tensor
    }
}
