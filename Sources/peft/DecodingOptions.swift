public import ArgumentParser
import Datasets
import Diagnostics
public import Training

extension BeamSettings.EarlyStopping: ExpressibleByArgument {}

/// How texts are continued, by transformers' names, where nothing is drawn at random.
struct DecodingOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Tokens to generate at most.", valueName: "n"))
    var maxNewTokens = 128

    @Option(help: ArgumentHelp("Nothing ends before so many tokens.", valueName: "n"))
    var minNewTokens = 0

    @Option(
        help: ArgumentHelp(
            "Nothing ends before the text has so many tokens, those of the prompt included unless an encoder reads it.",
            valueName: "n"))
    var minLength = 0

    @Option(
        help: ArgumentHelp(
            "Follow the k most likely continuations at a time, and give the best; 1 takes the most likely token.",
            valueName: "k"))
    var numBeams = 1

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
            "Divide the scores of tokens that the text has already (negative ones are multiplied); 1 for none.",
            valueName: "x"))
    var repetitionPenalty = 1.0

    @Option(help: ArgumentHelp("No n tokens in a row come twice; 0 for any.", valueName: "n"))
    var noRepeatNgramSize = 0

    @Option(
        help: ArgumentHelp(
            "Multiply the scores of the prompt's tokens (negative ones are divided); 1 for none.", valueName: "x"))
    var encoderRepetitionPenalty = 1.0

    @Option(help: ArgumentHelp("No n tokens in a row come that the prompt has; 0 for any.", valueName: "n"))
    var encoderNoRepeatNgramSize = 0

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

    func validate() throws {
        for (name, value) in [
            ("--min-new-tokens", minNewTokens), ("--min-length", minLength),
            ("--no-repeat-ngram-size", noRepeatNgramSize), ("--encoder-no-repeat-ngram-size", encoderNoRepeatNgramSize),
        ] where value < 0 {
            throw ValidationError("\(name) must not be negative, got \(value)")
        }
        if maxNewTokens > 0, minNewTokens > maxNewTokens {
            throw ValidationError(
                "--min-new-tokens: \(minNewTokens) are more than the \(maxNewTokens) of --max-new-tokens")
        }
        for (name, value) in [
            ("--repetition-penalty", repetitionPenalty), ("--encoder-repetition-penalty", encoderRepetitionPenalty),
        ] where !(value > 0 && value.isFinite) {
            throw ValidationError("\(name) must be above 0, got \(value)")
        }
        if !(1...Self.mostBeams).contains(numBeams) {
            throw ValidationError("--num-beams must be between 1 and \(Self.mostBeams), got \(numBeams)")
        }
        if numBeams == 1, lengthPenalty != nil || earlyStopping != nil {
            throw ValidationError(
                "\(lengthPenalty != nil ? "--length-penalty" : "--early-stopping") concerns a search by beams: give "
                    + "--num-beams too")
        }
        if let lengthPenalty, !(lengthPenalty.isFinite && lengthPenalty.magnitude <= 100) {
            throw ValidationError("--length-penalty must be between -100 and 100, got \(lengthPenalty)")
        }
        if stop.contains("") { throw ValidationError("--stop: an empty text would end every answer at once") }
        if badWord.contains("") { throw ValidationError("--bad-word: an empty text has no tokens") }
    }

    /// Each beam keeps the whole text in memory.
    private static let mostBeams = 256

    /// The settings but for `badWord`, which needs the model's tokens.
    ///
    /// - Parameter returnedCount: How many of a search's texts are given out.
    func settings(sampling: SamplingSettings?, returnedCount: Int) -> GenerationSettings {
        var settings = GenerationSettings(maximumNewTokens: maxNewTokens, sampling: sampling)
        if numBeams > 1 {
            settings.beams = BeamSettings(
                count: numBeams, lengthPenalty: lengthPenalty ?? 1, earlyStopping: earlyStopping ?? .no,
                returnedCount: returnedCount)
        }
        settings.processing.repetitionPenalty = repetitionPenalty
        settings.processing.encoderRepetitionPenalty = encoderRepetitionPenalty
        settings.processing.noRepeatNgramSize = noRepeatNgramSize
        settings.processing.encoderNoRepeatNgramSize = encoderNoRepeatNgramSize
        settings.processing.minimumLength = minLength
        settings.processing.minimumNewTokens = minNewTokens
        return settings
    }

    /// A generator that ends and leaves out the texts that were asked for.
    ///
    /// - Parameter prompts: The prompts that it will get, as tokens.
    func generator(
        _ base: BaseModel, _ codec: PromptCodec, _ settings: GenerationSettings, prompts: [[Int32]]
    ) -> Generator {
        var settings = settings
        settings.processing.badWords = badWord.map { codec.ids(ofPart: unescaped($0)) }
        let generator = Generator(model: base.model, endIDs: codec.stops, settings: settings)
        if !codec.stopTexts.isEmpty {
            generator.isStopped = { codec.isStopped($1, after: prompts[$0]) }
        }
        return generator
    }

    /// All that a text depends on, a line each.
    var identity: [String] {
        var lines = [
            "max_new_tokens \(maxNewTokens)", "min_new_tokens \(minNewTokens)", "min_length \(minLength)",
            "num_beams \(numBeams)", "repetition_penalty \(repetitionPenalty)",
            "no_repeat_ngram_size \(noRepeatNgramSize)", "encoder_repetition_penalty \(encoderRepetitionPenalty)",
            "encoder_no_repeat_ngram_size \(encoderNoRepeatNgramSize)",
        ]
        if numBeams > 1 {
            lines.append("length_penalty \(lengthPenalty ?? 1)")
            lines.append("early_stopping \((earlyStopping ?? .no).rawValue)")
        }
        lines += badWord.map { "bad_word \(unescaped($0).debugDescription)" }
        return lines + stopTexts.map { "stop \($0.debugDescription)" }
    }

    /// The texts that end an answer.
    var stopTexts: [String] { stop.map(unescaped) }
}
