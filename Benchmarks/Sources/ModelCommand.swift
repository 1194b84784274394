import ArgumentParser
import Checkpoints
import JSONText
import Layers
import Tokenizers
import Training

/// Writes a random GPT-2 of one of the released sizes, the same bits every time.
struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Write a random model that is measured.")

    @Option(help: "124m, 355m or 774m.")
    var shape = ModelShape.small

    @Option(help: "f32 or bf16: how the weights are kept.")
    var type = WeightType.f32

    @Option(
        help: "GPT-2's merges, the numbers of two tokens in 16 bits each, from which its tokenizer's files are made.")
    var merges: String

    @Argument(help: "The folder to be made.")
    var folder: String

    func run() throws {
        try FileSystem.createFolder(folder)
        try AtomicFile.write(
            """
            {
              "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 50257, "n_positions": 1024,
              "n_embd": \(shape.width), "n_layer": \(shape.layers), "n_head": \(shape.heads),
              "activation_function": "gelu_new", "resid_pdrop": 0.1,
              "embd_pdrop": 0.1, "attn_pdrop": 0.1, "layer_norm_epsilon": 1e-05, "initializer_range": 0.02,
              "bos_token_id": 50256, "eos_token_id": 50256, "tie_word_embeddings": true
            }

            """, to: FileSystem.join(folder, "config.json"))
        try writeTokenizer()
        let base = try BaseModel.load(folder, randomSeed: 1, warn: { _ in })
        try ModelWeights.write(
            base.model.parameters.map { OutgoingTensor($0.name, $0.tensor, as: type.elementType) }, to: folder)
    }
}

extension ModelCommand {
    /// merges.txt, and vocab.json with the tokens of single bytes in the order of their characters, those of the merges, and
    /// the end of text.
    private func writeTokenizer() throws {
        let numbers = try FileBytes(path: merges).withBytes { bytes in
            stride(from: 0, to: bytes.count, by: 2).map { Int(bytes[$0]) | Int(bytes[$0 + 1]) << 8 }
        }
        var tokens = ByteAlphabet.codePoints.sorted().compactMap(UnicodeScalar.init).map { String(Character($0)) }
        var text = "#version: 0.2\n"
        for place in stride(from: 0, to: numbers.count, by: 2) {
            let (left, right) = (tokens[numbers[place]], tokens[numbers[place + 1]])
            text += "\(left) \(right)\n"
            tokens.append(left + right)
        }
        tokens.append("<|endoftext|>")
        let vocabulary = JSONValue.object(tokens.enumerated().map { .init($0.element, .integer($0.offset)) })
        try AtomicFile.write(text, to: FileSystem.join(folder, "merges.txt"))
        try AtomicFile.write(vocabulary.text(.compact), to: FileSystem.join(folder, "vocab.json"))
    }
}

/// The sizes of GPT-2 (Radford et al. 2019, table 2).
enum ModelShape: String, CaseIterable, ExpressibleByArgument {
    case small = "124m"
    case medium = "355m"
    case large = "774m"

    var layers: Int {
        switch self {
        case .small: 12
        case .medium: 24
        case .large: 36
        }
    }

    var width: Int {
        switch self {
        case .small: 768
        case .medium: 1024
        case .large: 1280
        }
    }

    var heads: Int { width / 64 }
}

/// How a measured model's weights are kept.
enum WeightType: String, CaseIterable, ExpressibleByArgument {
    case f32, bf16

    var elementType: ElementType { self == .bf16 ? .bfloat16 : .float32 }
}
