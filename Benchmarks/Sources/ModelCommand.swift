import ArgumentParser
import Checkpoints
import Layers
import Training

/// Writes a random GPT-2 of 124M parameters in transformers' default configuration, the same bits every time.
struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Write the random model that is measured.")

    @Option(help: "A folder with a tokenizer whose files go in.")
    var tokenizer: String

    @Argument(help: "The folder to be made.")
    var folder: String

    func run() throws {
        try FileSystem.createFolder(folder)
        try AtomicFile.write(
            """
            {
              "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 50257, "n_positions": 1024,
              "n_embd": 768, "n_layer": 12, "n_head": 12, "activation_function": "gelu_new", "resid_pdrop": 0.1,
              "embd_pdrop": 0.1, "attn_pdrop": 0.1, "layer_norm_epsilon": 1e-05, "initializer_range": 0.02,
              "bos_token_id": 50256, "eos_token_id": 50256, "tie_word_embeddings": true
            }

            """, to: FileSystem.join(folder, "config.json"))
        for name in ["vocab.json", "merges.txt"] {
            try FileSystem.copyFile(
                from: FileSystem.join(tokenizer, name), to: FileSystem.join(folder, name))
        }
        let base = try BaseModel.load(folder, randomSeed: 1, warn: { _ in })
        try ModelWeights.write(
            base.model.parameters.map { OutgoingTensor($0.name, $0.tensor, as: .float32) }, to: folder)
    }
}
