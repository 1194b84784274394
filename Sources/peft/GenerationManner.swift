import Diagnostics
import Models
import Training

/// How `peft generate` continues texts: as its options say and, where they say nothing, as the model's own
/// `generation_config.json` does, by which transformers' `generate` goes too.
struct GenerationManner {
    private(set) var decoding: DecodingOptions
    private(set) var settings: GenerationSettings
    /// Texts that end an answer.
    private(set) var stopTexts: [String]
    /// Tokens of a text at most, as `SavedGeneration.maximumLength`.
    private var maximumLength: Int?

    /// What the file says and is done, and what isn't.
    private struct Taken {
        var done: [String] = []
        var left: [String]

        /// Fills in an option that isn't given; `none` is what changes nothing.
        mutating func fill<Value: Equatable>(_ option: inout Value?, _ value: Value?, _ name: String, none: Value?) {
            guard option == nil, let value, value != none else { return }
            option = value
            done.append("\(name) \(value)")
        }
    }

    /// Says what is taken from the file, and warns of what isn't.
    init(_ command: GenerateCommand, _ saved: SavedGeneration, _ base: BaseModel, warn: WarningSink) throws {
        var taken = Taken(left: saved.unknown)
        decoding = command.decoding
        let isDrawn = command.temperature.map { $0 != 0 } ?? (saved.samples && decoding.beamCount == 1)
        if saved.samples, command.temperature == nil {
            if isDrawn { taken.done.append("do_sample") } else { taken.left.append("do_sample") }
        }
        let sampling = isDrawn ? Self.sampling(command, saved, &taken) : nil
        var returnedCount = command.numReturnSequences
        if isDrawn {
            if saved.beamCount ?? 1 > 1 { taken.left.append("num_beams") }
        } else if saved.beamCount ?? 1 > DecodingOptions.mostBeams {
            taken.left.append("num_beams")
        } else {
            taken.fill(&decoding.numBeams, saved.beamCount, "num_beams", none: 1)
        }
        if decoding.beamCount > 1 {
            if (saved.lengthPenalty ?? 1).magnitude <= DecodingOptions.largestPenalty {
                taken.fill(&decoding.lengthPenalty, saved.lengthPenalty, "length_penalty", none: 1)
            } else if decoding.lengthPenalty == nil {
                taken.left.append("length_penalty")
            }
            if decoding.earlyStopping == nil, let stopping = saved.earlyStopping, stopping != .no {
                decoding.earlyStopping = stopping
                taken.done.append("early_stopping \(stopping.rawValue)")
            }
        }
        if saved.returnedCount ?? 1 <= decoding.beamCount {
            taken.fill(&returnedCount, saved.returnedCount, "num_return_sequences", none: 1)
        } else if returnedCount == nil {
            taken.left.append("num_return_sequences")
        }
        taken.fill(&decoding.minNewTokens, saved.minimumNewTokens, "min_new_tokens", none: 0)
        taken.fill(&decoding.minLength, saved.minimumLength, "min_length", none: 0)
        taken.fill(&decoding.repetitionPenalty, saved.repetitionPenalty, "repetition_penalty", none: 1)
        taken.fill(
            &decoding.encoderRepetitionPenalty, saved.encoderRepetitionPenalty, "encoder_repetition_penalty", none: 1)
        taken.fill(&decoding.noRepeatNgramSize, saved.noRepeatNgramSize, "no_repeat_ngram_size", none: 0)
        taken.fill(
            &decoding.encoderNoRepeatNgramSize, saved.encoderNoRepeatNgramSize, "encoder_no_repeat_ngram_size", none: 0)
        if decoding.maxNewTokens == nil, saved.maximumNewTokens == nil, let length = saved.maximumLength {
            (maximumLength, decoding.maxNewTokens) = (length, Int(Int32.max))
            taken.done.append("max_length \(length)")
        }
        taken.fill(&decoding.maxNewTokens, saved.maximumNewTokens, "max_new_tokens", none: nil)
        stopTexts = decoding.stopTexts
        if stopTexts.isEmpty, let texts = saved.stopTexts?.filter({ !$0.isEmpty }), !texts.isEmpty {
            stopTexts = texts
            taken.done.append("stop_strings")
        }
        settings = decoding.settings(sampling: sampling, returnedCount: returnedCount ?? 1)
        if decoding.badWord.isEmpty, let words = saved.badWords, !words.isEmpty {
            let vocabulary = 0..<Int32(clamping: base.model.vocabularySize)
            if let other = words.joined().first(where: { !vocabulary.contains($0) }) {
                throw Problem(
                    "\(other) is no id of the vocabulary, which has \(vocabulary.count)", file: saved.path,
                    key: "bad_words_ids")
            }
            settings.processing.badWords = words.filter { !$0.isEmpty }
            taken.done.append("bad_words_ids")
        }
        say(taken, saved, warn)
    }

    private static func sampling(
        _ command: GenerateCommand, _ saved: SavedGeneration, _ taken: inout Taken
    ) -> SamplingSettings {
        var command = command
        taken.fill(&command.temperature, saved.temperature, "temperature", none: nil)
        // As transformers has it where the file says nothing.
        taken.fill(&command.topK, saved.topK ?? (saved.samples ? 50 : nil), "top_k", none: 0)
        taken.fill(&command.topP, saved.topP, "top_p", none: 1)
        taken.fill(&command.minP, saved.minP, "min_p", none: 0)
        taken.fill(&command.typicalP, saved.typicalP, "typical_p", none: 1)
        taken.fill(&command.epsilonCutoff, saved.epsilonCutoff, "epsilon_cutoff", none: 0)
        taken.fill(&command.etaCutoff, saved.etaCutoff, "eta_cutoff", none: 0)
        var sampling = SamplingSettings(
            temperature: command.temperature ?? 1, topK: command.topK, topP: command.topP, seed: command.seed)
        (sampling.minP, sampling.typicalP) = (command.minP, command.typicalP)
        (sampling.epsilonCutoff, sampling.etaCutoff) = (command.epsilonCutoff, command.etaCutoff)
        return sampling
    }

    private func say(_ taken: Taken, _ saved: SavedGeneration, _ warn: WarningSink) {
        guard let path = saved.path else { return }
        if !taken.done.isEmpty {
            Console.note("as \(path) says: \(taken.done.joined(separator: ", ")); options come before it")
        }
        if !taken.left.isEmpty {
            let isOne = taken.left.count == 1
            warn(
                Problem(
                    "nothing here does what \(taken.left.joined(separator: ", ")) \(isOne ? "asks" : "ask") for: texts may be "
                        + "others than transformers'", file: path, severity: .warning))
        }
    }

    /// New tokens of a prompt at most.
    func limit(for prompt: [Int32], _ base: BaseModel) -> Int {
        guard let maximumLength else { return settings.maximumNewTokens }
        return min(settings.maximumNewTokens, max(0, maximumLength - length(of: prompt, base)))
    }

    /// What is wrong with a prompt that the file's `max_length`, the prompt included, leaves no token for; nil for others.
    func complaint(aboutLengthOf prompt: [Int32], _ base: BaseModel) -> String? {
        guard let maximumLength, length(of: prompt, base) >= maximumLength else { return nil }
        let count = length(of: prompt, base)
        return
            "the prompt has \(count) \(count == 1 ? "token" : "tokens"), and max_length in generation_config.json is "
            + "\(maximumLength) with the prompt: nothing can follow, give --max-new-tokens"
    }

    private func length(of prompt: [Int32], _ base: BaseModel) -> Int {
        base.model.hasEncoder ? base.model.opening(prompt).count : prompt.count
    }
}
