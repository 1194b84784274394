import ArgumentParser
import Checkpoints
import Layers
import Training

/// Writes a random GPT-2 in transformers' default configuration, the same bits every time.
struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Write a random model to measure.")

    /// The shapes that GPT-2 was published in (Radford et al. 2019, table 2).
    enum Size: String, CaseIterable, ExpressibleByArgument {
        case small = "124m"
        case medium = "355m"
        case large = "774m"

        var shape: (width: Int, layers: Int, heads: Int) {
            switch self {
            case .small: (768, 12, 12)
            case .medium: (1024, 24, 16)
            case .large: (1280, 36, 20)
            }
        }
    }

    @Option(help: "How many parameters: \(Size.allCases.map(\.rawValue).joined(separator: ", ")).")
    var size = Size.small

    @Option(help: "A folder with a tokenizer whose files go in.")
    var tokenizer: String

    @Flag(help: "Round the weights to BF16 and keep them so.")
    var bfloat16 = false

    @Argument(help: "The folder to be made.")
    var folder: String

    func run() throws {
        try FileSystem.createFolder(folder)
        let shape = size.shape
        try AtomicFile.write(
            """
            {
              "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 50257, "n_positions": 1024,
              "n_embd": \(shape.width), "n_layer": \(shape.layers), "n_head": \(shape.heads),
              "activation_function": "gelu_new", "resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1,
              "layer_norm_epsilon": 1e-05, "initializer_range": 0.02, "bos_token_id": 50256, "eos_token_id": 50256,
              "tie_word_embeddings": true
            }

            """, to: FileSystem.join(folder, "config.json"))
        for name in ["vocab.json", "merges.txt"] {
            try FileSystem.copyFile(
                from: FileSystem.join(tokenizer, name), to: FileSystem.join(folder, name))
        }
        let base = try BaseModel.load(folder, randomSeed: 1, warn: { _ in })
        try ModelWeights.write(
            base.model.parameters.map { OutgoingTensor($0.name, $0.tensor, as: bfloat16 ? .bfloat16 : .float32) },
            to: folder)
    }
}
