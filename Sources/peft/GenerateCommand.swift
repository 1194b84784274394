import ArgumentParser
import Configuration
import Datasets
import Diagnostics
import JSONText
import Ranks
import Tokenizers
import Training

/// Continues prompts.
struct GenerateCommand: RankedCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Continue prompts with a model, with or without adapters.",
        discussion: """
            Without --prompt every line of stdin is a prompt, or a JSON record with one in "prompt" (or with the fields of \
            the template); completions come out in the same order. With --adapter NAME=DIR, several times, each record \
            names in "adapter" which of them answers it. Prompts are taken \
            as they are, without the template of the training unless --as-trained is given; in --prompt, as in \
            templates, \\n is a line break, \\t a tab and \\\\ a backslash. With --data each record \
            gets a completion, in the prompt template that each adapter was trained with, or in --prompt as a template; \
            with --json the record's own fields come out too. What can't be continued gets an error in place of an \
            answer, and the exit status at the end is 65. 'peft predict' tells labels.

            With --chat, or an adapter that was trained on conversations, a prompt is what the user says, and the model's \
            chat template makes the text; on stdin and in records a JSON object with messages is a whole conversation.

            EXAMPLES:
              peft generate --base embedded/base --prompt 'The old man'
              peft generate --adapter runs/demo --as-trained --prompt 'name[The Eagle], food[Chinese]'
              peft generate --adapter runs/demo --data new.jsonl --json > answers.jsonl
              peft generate --adapter runs/demo --temperature 0.8 --top-p 0.95 --seed 7 --json < prompts.txt
              peft generate --base embedded/base --prompt 'The old man' --num-beams 4 --num-return-sequences 2 --json
              peft generate --base embedded/base --repetition-penalty 1.2 --no-repeat-ngram-size 3 --stop '\\n' < prompts.txt
              peft generate --adapter a=runs/a --adapter b=runs/b --json < records.jsonl
              peft generate --base models/SmolLM2-135M-Instruct --chat --prompt 'What is a compiler?'
              peft generate --base embedded/base --config configs/demo.yaml --shots 2 --prompt 'name[The Eagle]'
              mpirun -n 4 peft generate --adapter runs/demo --data new.jsonl > answers.txt
            """)

    @OptionGroup var models: ModelOptions

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The text to continue; with --data the template of it, as '{mr}\\n'.", valueName: "text"))
    var prompt: String?

    @Option(
        help: ArgumentHelp(
            "Records to continue (.jsonl, .json, .csv, .tsv, .txt), as in training; may be given several times; - is "
                + "stdin.", valueName: "file"), transform: expandedPath)
    var data: [String] = []

    @Option(
        help: ArgumentHelp(
            "Show the model k records of the training data before each prompt, which is put into the template of the "
                + "training; the same ones always, drawn by --seed.", valueName: "k"))
    var shots = 0

    @Option(
        help: ArgumentHelp(
            "Draw tokens at random from the probabilities with this temperature; without it, and with 0, always the most "
                + "likely token is taken.", valueName: "t"))
    var temperature: Double?

    @Option(help: ArgumentHelp("Draw among the k most likely tokens only.", valueName: "k"))
    var topK: Int?

    @Option(
        help: ArgumentHelp("Draw among the most likely tokens that together have this probability.", valueName: "p"))
    var topP: Double?

    @Option(
        help: ArgumentHelp(
            "Draw among tokens at least this share as likely as the most likely one.", valueName: "p"))
    var minP: Double?

    @Option(
        help: ArgumentHelp(
            "Draw among the tokens whose surprise is nearest to the expected one, which together have this probability.",
            valueName: "p"))
    var typicalP: Double?

    @Option(help: ArgumentHelp("Draw among tokens at least so likely.", valueName: "p"))
    var epsilonCutoff: Double?

    @Option(
        help: ArgumentHelp("Draw among tokens at least so likely, or less where many are likely.", valueName: "p"))
    var etaCutoff: Double?

    @Option(
        help: ArgumentHelp(
            "Give the n best texts of a search by beams, each on a line of its own. (default: 1)", valueName: "n"))
    var numReturnSequences: Int?

    @Option(help: ArgumentHelp("Starts the random draws, and draws the shots.", valueName: "n"))
    var seed: UInt64 = 42

    @Flag(help: "Put each prompt into the prompt template of the training, as the value of its field.")
    var asTrained = false

    @Flag(
        inversion: .prefixedNo,
        help:
            "Take each prompt for what the user says in a conversation; by default where the model was trained on such."
    )
    var chat: Bool?

    @Option(help: ArgumentHelp("What the system says before the user, with --chat.", valueName: "text"))
    var system: String?

    @Flag(
        help:
            "Print a JSON object a line: prompt, or the record's fields, and completion; adapter where several are given."
    )
    var json = false

    @OptionGroup(title: "Decoding") var decoding: DecodingOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if decoding.newTokenLimit < 0 {
            throw ValidationError("--max-new-tokens must not be negative, got \(decoding.newTokenLimit)")
        }
        if let temperature, !(temperature >= 0 && temperature.isFinite) {
            throw ValidationError("--temperature must not be negative, got \(temperature)")
        }
        if shots < 0 { throw ValidationError("--shots must not be negative, got \(shots)") }
        if let topK, topK < 1 { throw ValidationError("--top-k must be at least 1, got \(topK)") }
        if let topP, !(topP > 0 && topP <= 1) {
            throw ValidationError("--top-p must be above 0 and at most 1, got \(topP)")
        }
        if temperature ?? 0 == 0, topK != nil || topP != nil {
            throw ValidationError("--top-k and --top-p limit random draws: give --temperature too")
        }
        let filters = [
            ("--min-p", minP), ("--typical-p", typicalP), ("--epsilon-cutoff", epsilonCutoff),
            ("--eta-cutoff", etaCutoff),
        ]
        for (name, value) in filters {
            guard let value else { continue }
            if !(value > 0 && value <= 1) {
                throw ValidationError("\(name) must be above 0 and at most 1, got \(value)")
            }
            if temperature ?? 0 == 0 { throw ValidationError("\(name) limits random draws: give --temperature too") }
        }
        if decoding.beamCount > 1, temperature ?? 0 != 0 {
            throw ValidationError(
                "--num-beams: beams are searched, not drawn: leave out --temperature, or the beams")
        }
        if let numReturnSequences, !(1...max(1, decoding.beamCount)).contains(numReturnSequences) {
            throw ValidationError(
                "--num-return-sequences must be between 1 and --num-beams, which is \(decoding.beamCount), got "
                    + "\(numReturnSequences)")
        }
    }

    func run() throws {
        common.apply()
        let ranks = Communicator.current
        let batch = 64 * ranks.count
        let given = data.isEmpty ? nil : try prompt.map { try EvaluationData.template($0, "--prompt") }
        var session = try ranks.agree {
            try GenerationSession(
                ModelSelection(namedIn: models),
                manner: { base in
                    try GenerationManner(self, SavedGeneration(folder: base.folder), base, warn: Console.report)
                }, shots: (shots, seed)
            ) { variant, base in
                if let chat = try chatStyle(variant, base) { return .chat(chat) }
                if system != nil {
                    throw ValidationError(
                        "--system goes with --chat, and '\(variant.label ?? base.folder)' has no chat")
                }
                if let given { return .template(given) }
                return data.isEmpty && !asTrained && shots == 0 ? .plain : .template(try template(variant))
            }
        }
        if !data.isEmpty {
            var input = try RecordInput(data)
            while let records = try input.next(atMost: batch) {
                try session.run(
                    records.map { record in
                        switch record {
                        case .success(let record): .record(record)
                        case .failure(let problem): .broken(problem)
                        }
                    }, json: json)
            }
        } else if let prompt = prompt.map(unescaped) {
            // It can't name one: all answer.
            session.isRouted = false
            if Console.outputIsTerminal, !json, session.variantCount == 1, !session.hasShots, session.comesByToken,
                ranks == nil
            {
                try session.stream(prompt)
            } else {
                try session.run([.text(prompt, line: nil)], json: json)
            }
        } else {
            LineInput.announceTerminal("prompts")
            var input = LineInput(name: "stdin")
            while let lines = try input.next(atMost: batch) {
                try session.run(lines.map { question($0, in: session) }, json: json)
            }
        }
        if session.failureCount > 0 { throw ExitCode(ExitStatus.badData.rawValue) }
    }

    private func question(_ line: LineInput.Line, in session: GenerationSession) -> GenerationSession.Question {
        if line.bytes.first(where: { $0 != 0x20 && $0 != 0x09 }) == UInt8(ascii: "{") {
            do {
                let record = try Record.json(line.bytes, file: "stdin", line: line.number)
                // Other texts begin so too.
                if session.takes(record) { return .record(record) }
            } catch {
                if session.isChat || session.isRouted {
                    return .broken(error as? Problem ?? Problem("\(error)", file: "stdin"))
                }
            }
        }
        if let text = String(validating: line.bytes, as: UTF8.self) { return .text(text, line: line.number) }
        return .broken(
            Problem("invalid UTF-8", file: "stdin", position: TextPosition(line: line.number, column: 1)))
    }

    /// How the model's conversations are made; nil where prompts are no parts of one.
    private func chatStyle(_ variant: ModelSelection.Variant, _ base: BaseModel) throws -> GenerationSession.Chat? {
        if chat == false { return nil }
        let settings = try variant.document.map(EvaluationData.settings)
        let trained = settings?.templates.conversation
        guard chat == true || trained != nil else { return nil }
        // A configuration that is given says it for all adapters.
        let format = try base.chatFormat(
            trained?.template, savedIn: models.config == nil ? variant.adapter : nil)
        return GenerationSession.Chat(format: format, field: trained?.field ?? "messages", system: system)
    }

    /// The template that a model was trained with.
    private func template(_ variant: ModelSelection.Variant) throws -> Template {
        let option = data.isEmpty ? asTrained ? "--as-trained" : "--shots" : "--data"
        guard let document = variant.document else {
            throw Problem(
                "\(option) needs the template of the training: there is no training_config.yaml beside the "
                    + "\(variant.adapter == nil ? "model" : "adapter"); give the run's configuration with --config"
                    + (data.isEmpty ? "" : ", or the template with --prompt"), file: variant.label,
                exitStatus: .missingInput)
        }
        let section = document.root.section("data")
        if document.root.optionalString("task") == LearningTask.sequenceClassification.rawValue {
            throw Problem(
                "was trained to tell labels and has no template of prompts: 'peft predict' gives each text its label",
                file: variant.label)
        }
        let settings = try EvaluationData.settings(document)
        if settings.templates.conversation != nil {
            throw Problem(
                "was trained on conversations and has no template of prompts: leave out --no-chat", file: variant.label)
        }
        guard case .completion(let template, _) = settings.templates else {
            _ = section.requiredString("prompt")
            try document.root.throwProblems()
            defect("GenerateCommand: a prompt's template that isn't one")
        }
        if data.isEmpty, template.renderPlaces(filledWith: "") == nil {
            throw Problems([
                section.problem(
                    "has the fields \(template.fieldNames.joined(separator: ", ")), and a text can fill only one: give "
                        + "records with --data", at: "prompt")
            ])
        }
        return template
    }
}
