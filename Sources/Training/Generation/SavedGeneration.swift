import Diagnostics
import Files
import JSONText

/// What a model's `generation_config.json` says of how its texts are generated: transformers' `generate` takes all of it
/// where the caller says nothing else.
public struct SavedGeneration: Sendable, Hashable {
    public static let fileName = "generation_config.json"

    /// The file; nil where there is none.
    public private(set) var path: String?
    public private(set) var maximumNewTokens: Int?
    /// Tokens of a text at most, those of the prompt included unless an encoder reads it, whose opening counts then.
    public private(set) var maximumLength: Int?
    public private(set) var minimumNewTokens: Int?
    public private(set) var minimumLength: Int?
    public private(set) var samples = false
    public private(set) var temperature: Double?
    public private(set) var topK: Int?
    public private(set) var topP: Double?
    public private(set) var minP: Double?
    public private(set) var typicalP: Double?
    public private(set) var epsilonCutoff: Double?
    public private(set) var etaCutoff: Double?
    public private(set) var beamCount: Int?
    public private(set) var lengthPenalty: Double?
    public private(set) var earlyStopping: BeamSettings.EarlyStopping?
    public private(set) var returnedCount: Int?
    public private(set) var repetitionPenalty: Double?
    public private(set) var encoderRepetitionPenalty: Double?
    public private(set) var noRepeatNgramSize: Int?
    public private(set) var encoderNoRepeatNgramSize: Int?
    public private(set) var badWords: [[Int32]]?
    public private(set) var stopTexts: [String]?
    /// Fields that would make other texts there, and that nothing here does.
    public private(set) var unknown: [String] = []

    public init() {}

    /// Reads the file of a model's folder; says nothing where there is none.
    ///
    /// - Throws: `Problem` with the place of a value that transformers doesn't take either.
    public init(folder: String) throws {
        let path = FileSystem.join(folder, Self.fileName)
        if !FileSystem.isFile(path) { return }
        self.path = path
        for member in try JSONNode.load(path: path).asObject() where !member.value.isNull {
            try read(member.key, member.value)
        }
        if samples, let temperature, !(temperature > 0 && temperature.isFinite) {
            throw Problem("must be above 0 where do_sample is true, got \(temperature)", file: path, key: "temperature")
        }
    }

    private mutating func read(_ key: String, _ value: JSONNode) throws {
        func integer(_ least: Int) throws -> Int {
            let number = try value.asInteger()
            if number < least { throw value.problem("must be at least \(least), got \(number)") }
            return number
        }
        func positive() throws -> Double {
            let number = try value.asNumber()
            if !(number > 0 && number.isFinite) { throw value.problem("must be above 0, got \(value.summary)") }
            return number
        }
        /// nil for what filters nothing.
        func share(none: Double) throws -> Double? {
            let number = try value.asNumber()
            if !(0...1).contains(number) { throw value.problem("must be between 0 and 1, got \(value.summary)") }
            return number == none ? nil : number
        }
        switch key {
        case "max_new_tokens": maximumNewTokens = try integer(1)
        case "max_length": maximumLength = try integer(1)
        case "min_new_tokens": minimumNewTokens = try integer(0)
        case "min_length": minimumLength = try integer(0)
        case "do_sample": samples = try value.asBoolean()
        case "temperature": temperature = try value.asNumber()
        case "top_k": topK = try integer(0)
        case "top_p": topP = try share(none: 1)
        case "min_p": minP = try share(none: 0)
        case "typical_p": typicalP = try share(none: 1)
        case "epsilon_cutoff": epsilonCutoff = try share(none: 0)
        case "eta_cutoff": etaCutoff = try share(none: 0)
        case "num_beams": beamCount = try integer(1)
        case "length_penalty": lengthPenalty = try value.asNumber()
        case "early_stopping": earlyStopping = try stopping(value)
        case "num_return_sequences": returnedCount = try integer(1)
        case "repetition_penalty": repetitionPenalty = try positive()
        case "encoder_repetition_penalty": encoderRepetitionPenalty = try positive()
        case "no_repeat_ngram_size": noRepeatNgramSize = try integer(0)
        case "encoder_no_repeat_ngram_size": encoderNoRepeatNgramSize = try integer(0)
        case "bad_words_ids":
            badWords = try value.asArray().map { try $0.asArray().map { Int32(clamping: try $0.asInteger()) } }
        case "stop_strings":
            stopTexts = (try? value.asString()).map { [$0] } ?? []
            if stopTexts == [] { stopTexts = try value.asArray().map { try $0.asString() } }
        default:
            if !Self.harmless.contains(key), !Self.off(key, value) { unknown.append(key) }
        }
    }

    private func stopping(_ value: JSONNode) throws -> BeamSettings.EarlyStopping {
        if let isEarly = try? value.asBoolean() { return isEarly ? .yes : .no }
        if (try? value.asString()) == "never" { return .never }
        throw value.problem("must be true, false or \"never\", got \(value.summary)")
    }

    /// Fields that say nothing of which tokens come, or that are read elsewhere.
    private static let harmless: Set<String> = [
        "use_cache", "cache_config", "max_cache_len", "output_attentions", "output_hidden_states", "output_scores",
        "output_logits", "return_dict_in_generate", "pad_token_id", "bos_token_id", "eos_token_id", "use_mtp",
        "decoder_start_token_id", "is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule",
        "assistant_confidence_threshold", "max_matching_ngram_size", "assistant_early_exit", "assistant_lookbehind",
        "target_lookbehind", "assistant_ensemble_weight", "speculation_type", "compile_config", "disable_compile",
        "continuous_batching_config", "low_memory", "prefill_chunk_size", "_commit_hash", "_from_model_config",
        "transformers_version", "remove_invalid_values", "cache_implementation", "generation_kwargs",
    ]

    /// Whether a field that nothing here does asks for nothing.
    private static func off(_ key: String, _ value: JSONNode) -> Bool {
        switch value.content {
        case .boolean(let isOn): return !isOn
        case .integer(let number): return number == 0 || key == "num_beam_groups" && number == 1
        case .number(let number): return number == 0 || key == "guidance_scale" && number == 1
        case .array(let values): return values.isEmpty
        default: return false
        }
    }
}
