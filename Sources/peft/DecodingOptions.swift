public import ArgumentParser
import Datasets
import Diagnostics
public import Training

extension BeamSettings.EarlyStopping: ExpressibleByArgument {}

/// How texts are continued, by transformers' names, where nothing is drawn at random.
struct DecodingOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Tokens to generate at most. (default: 128)", valueName: "n"))
    var maxNewTokens: Int?

    @Option(help: ArgumentHelp("Nothing ends before so many tokens. (default: 0)", valueName: "n"))
    var minNewTokens: Int?

    @Option(
        help: ArgumentHelp(
            "Nothing ends before the text has so many tokens, those of the prompt included unless an encoder reads it. "
                + "(default: 0)", valueName: "n"))
    var minLength: Int?

    @Option(
        help: ArgumentHelp(
            "Follow the k most likely continuations at a time, and give the best; 1 takes the most likely token. "
                + "(default: 1)", valueName: "k"))
    var numBeams: Int?

    @Option(
        help: ArgumentHelp(
            "Scores of beams are divided by their length to this power (1 without): above 0 long texts win.",
            valueName: "x"))
    var lengthPenalty: Double?

    @Option(
        help: ArgumentHelp(
            "When a search by beams ends: true, with as many complete texts as beams; false (without), once none gets "
                + "better as far as beams are long now; never, once none gets better at any length.", valueName: "when")
    )
    var earlyStopping: BeamSettings.EarlyStopping?

    @Option(
        help: ArgumentHelp(
            "Divide the scores of tokens that the text has already (negative ones are multiplied); 1 for none. "
                + "(default: 1)", valueName: "x"))
    var repetitionPenalty: Double?

    @Option(help: ArgumentHelp("No n tokens in a row come twice; 0 for any. (default: 0)", valueName: "n"))
    var noRepeatNgramSize: Int?

    @Option(
        help: ArgumentHelp(
            "Multiply the scores of the prompt's tokens (negative ones are divided); 1 for none. (default: 1)",
            valueName: "x"))
    var encoderRepetitionPenalty: Double?

    @Option(
        help: ArgumentHelp("No n tokens in a row come that the prompt has; 0 for any. (default: 0)", valueName: "n"))
    var encoderNoRepeatNgramSize: Int?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "A text that never comes, by its tokens as they are within a text, a space in front included; may be given "
                + "several times.", valueName: "text"))
    var badWord: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "A text that ends an answer, and isn't part of it; \\n is a line break; may be given several times.",
            valueName: "text"))
    var stop: [String] = []

    /// What is the case where an option says nothing.
    var newTokenLimit: Int { maxNewTokens ?? 128 }
    var beamCount: Int { numBeams ?? 1 }

    func validate() throws {
        for (name, value) in [
            ("--min-new-tokens", minNewTokens), ("--min-length", minLength),
            ("--no-repeat-ngram-size", noRepeatNgramSize), ("--encoder-no-repeat-ngram-size", encoderNoRepeatNgramSize),
        ] {
            if let value, value < 0 { throw ValidationError("\(name) must not be negative, got \(value)") }
        }
        if newTokenLimit > 0, let minNewTokens, minNewTokens > newTokenLimit {
            throw ValidationError(
                "--min-new-tokens: \(minNewTokens) are more than the \(newTokenLimit) of --max-new-tokens")
        }
        for (name, value) in [
            ("--repetition-penalty", repetitionPenalty), ("--encoder-repetition-penalty", encoderRepetitionPenalty),
        ] {
            if let value, !(value > 0 && value.isFinite) {
                throw ValidationError("\(name) must be above 0, got \(value)")
            }
        }
        if !(1...Self.mostBeams).contains(beamCount) {
            throw ValidationError("--num-beams must be between 1 and \(Self.mostBeams), got \(beamCount)")
        }
        if beamCount == 1, lengthPenalty != nil || earlyStopping != nil {
            throw ValidationError(
                "\(lengthPenalty != nil ? "--length-penalty" : "--early-stopping") concerns a search by beams: give "
                    + "--num-beams too")
        }
        if let lengthPenalty, !(lengthPenalty.isFinite && lengthPenalty.magnitude <= Self.largestPenalty) {
            throw ValidationError("--length-penalty must be between -100 and 100, got \(lengthPenalty)")
        }
        if stop.contains("") { throw ValidationError("--stop: an empty text would end every answer at once") }
        if badWord.contains("") { throw ValidationError("--bad-word: an empty text has no tokens") }
    }

    /// Each beam keeps the whole text in memory.
    static let mostBeams = 256
    static let largestPenalty = 100.0

    /// The settings but for `badWord`, which needs the model's tokens.
    ///
    /// - Parameter returnedCount: How many of a search's texts are given out.
    func settings(sampling: SamplingSettings?, returnedCount: Int) -> GenerationSettings {
        var settings = GenerationSettings(maximumNewTokens: newTokenLimit, sampling: sampling)
        if beamCount > 1 {
            settings.beams = BeamSettings(
                count: beamCount, lengthPenalty: lengthPenalty ?? 1, earlyStopping: earlyStopping ?? .no,
                returnedCount: returnedCount)
        }
        settings.processing.repetitionPenalty = repetitionPenalty ?? 1
        settings.processing.encoderRepetitionPenalty = encoderRepetitionPenalty ?? 1
        settings.processing.noRepeatNgramSize = noRepeatNgramSize ?? 0
        settings.processing.encoderNoRepeatNgramSize = encoderNoRepeatNgramSize ?? 0
        settings.processing.minimumLength = minLength ?? 0
        settings.processing.minimumNewTokens = minNewTokens ?? 0
        return settings
    }

    /// A generator that ends and leaves out the texts that were asked for.
    ///
    /// - Parameter prompts: The prompts that it will get, as tokens.
    func generator(
        _ base: BaseModel, _ codec: PromptCodec, _ settings: GenerationSettings, prompts: [[Int32]]
    ) -> Generator {
        var settings = settings
        settings.processing.badWords += badWord.map { codec.ids(ofPart: unescaped($0)) }
        let generator = Generator(model: base.model, endIDs: codec.stops, settings: settings)
        if !codec.stopTexts.isEmpty {
            generator.isStopped = { codec.isStopped($1, after: prompts[$0]) }
        }
        return generator
    }

    /// All that a text depends on, a line each.
    var identity: [String] {
        let processing = settings(sampling: nil, returnedCount: 1).processing
        var lines = [
            "max_new_tokens \(newTokenLimit)", "min_new_tokens \(processing.minimumNewTokens)",
            "min_length \(processing.minimumLength)", "num_beams \(beamCount)",
            "repetition_penalty \(processing.repetitionPenalty)",
            "no_repeat_ngram_size \(processing.noRepeatNgramSize)",
            "encoder_repetition_penalty \(processing.encoderRepetitionPenalty)",
            "encoder_no_repeat_ngram_size \(processing.encoderNoRepeatNgramSize)",
        ]
        if beamCount > 1 {
            lines.append("length_penalty \(lengthPenalty ?? 1)")
            lines.append("early_stopping \((earlyStopping ?? .no).rawValue)")
        }
        lines += badWord.map { "bad_word \(unescaped($0).debugDescription)" }
        return lines + stopTexts.map { "stop \($0.debugDescription)" }
    }

    /// The texts that end an answer.
    var stopTexts: [String] { stop.map(unescaped) }
}
