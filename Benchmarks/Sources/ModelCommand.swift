import ArgumentParser
import Checkpoints
import Files
import JSONText
import Layers
import Models
import Tokenizers
import Training

/// Writes a random model of one of the released sizes, the same bits every time.
struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Write a random model that is measured.")

    @Option(help: "124m, 355m or 774m for GPT-2; smollm2-135m, qwen2.5-0.5b or flan-t5-base.")
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
            \(shape.configuration)
              "vocab_size": \(shape.vocabularySize), "initializer_range": 0.02, "bos_token_id": \(shape.endOfText),
              "eos_token_id": \(shape.endOfText), "tie_word_embeddings": \(shape != .flanT5)
            }

            """, to: FileSystem.join(folder, "config.json"))
        try writeTokenizer()
        let base = try BaseModel.load(folder, randomSeed: 1, warn: { _ in })
        if shape == .flanT5 {
            // A head of its own, as the released model has it.
            base.model.untieHead()
            let weight = base.model.head.weight
            let scale = 1 / Float(weight.shape[1]).squareRoot()
            let random = RandomParameters(seed: 2).tensor(
                named: weight.name, shape: weight.shape, .normal(standardDeviation: scale))
            if let random { weight.value = random }
        }
        try ModelWeights.write(
            base.model.parameters.map { OutgoingTensor($0.name, $0.tensor, as: type.elementType) }, to: folder)
    }
}

extension ModelCommand {
    /// merges.txt, and vocab.json with the tokens of single bytes in the order of their characters, those of the merges as
    /// far as the vocabulary has room, and the end of text.
    private func writeTokenizer() throws {
        let numbers = try FileBytes(path: merges).withBytes { bytes in
            stride(from: 0, to: bytes.count, by: 2).map { Int(bytes[$0]) | Int(bytes[$0 + 1]) << 8 }
        }
        var tokens = ByteAlphabet.codePoints.sorted().compactMap(UnicodeScalar.init).map { String(Character($0)) }
        var text = "#version: 0.2\n"
        for place in stride(from: 0, to: numbers.count, by: 2) where tokens.count < shape.endOfText {
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

/// The sizes of released models: GPT-2 (Radford et al. 2019, table 2), SmolLM2-135M, Qwen2.5-0.5B and FLAN-T5 base.
enum ModelShape: String, CaseIterable, ExpressibleByArgument {
    case small = "124m"
    case medium = "355m"
    case large = "774m"
    case smol = "smollm2-135m"
    case qwen = "qwen2.5-0.5b"
    case flanT5 = "flan-t5-base"

    var vocabularySize: Int {
        switch self {
        case .small, .medium, .large: 50_257
        case .smol: 49_152
        case .qwen: 151_936
        case .flanT5: 32_128
        }
    }

    /// The last of the tokenizer's tokens.
    var endOfText: Int { min(vocabularySize, 50_257) - 1 }

    var configuration: String {
        switch self {
        case .small: Self.gpt2(layers: 12, width: 768)
        case .medium: Self.gpt2(layers: 24, width: 1024)
        case .large: Self.gpt2(layers: 36, width: 1280)
        case .smol:
            """
              "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 576, "num_hidden_layers": 30,
              "num_attention_heads": 9, "num_key_value_heads": 3, "intermediate_size": 1536,
              "max_position_embeddings": 8192, "rms_norm_eps": 1e-05, "rope_theta": 100000.0,
            """
        case .qwen:
            """
              "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_size": 896, "num_hidden_layers": 24,
              "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864,
              "max_position_embeddings": 32768, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
            """
        case .flanT5:
            """
              "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 768, "d_ff": 2048, "d_kv": 64,
              "num_heads": 12, "num_layers": 12, "num_decoder_layers": 12, "feed_forward_proj": "gated-gelu",
              "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "dropout_rate": 0.1,
              "layer_norm_epsilon": 1e-06, "is_encoder_decoder": true, "decoder_start_token_id": 0, "pad_token_id": 0,
            """
        }
    }

    private static func gpt2(layers: Int, width: Int) -> String {
        """
          "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_positions": 1024, "n_embd": \(width),
          "n_layer": \(layers), "n_head": \(width / 64), "activation_function": "gelu_new", "resid_pdrop": 0.1,
          "embd_pdrop": 0.1, "attn_pdrop": 0.1, "layer_norm_epsilon": 1e-05,
        """
    }
}

/// How a measured model's weights are kept.
enum WeightType: String, CaseIterable, ExpressibleByArgument {
    case f32, bf16

    var elementType: ElementType { self == .bf16 ? .bfloat16 : .float32 }
}
