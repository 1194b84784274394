import ChatTemplates
import Checkpoints
import Datasets
import Diagnostics
import JSONText
import Layers
import Models
import Ranks
import Tokenizers
import Training

/// Generates with one base model and its adapters, and prints what comes out.
struct GenerationSession {
    /// What is to be continued: a text, or a record that a template makes one of.
    enum Question {
        /// - line: Where it comes from, if from stdin.
        case text(String, line: Int?)
        case record(Record)
        /// A record, or a line, that can't be used.
        case broken(Problem)
    }

    /// What a model makes of the questions.
    struct Form {
        var style: Style
        /// Whether `[P3]` in prompts is a place for virtual tokens.
        var hasPlaces: Bool
    }

    /// How a prompt is made of a question.
    enum Style {
        /// A text as it is.
        case plain
        case template(Template)
        case chat(Chat)

        var template: Template? { if case .template(let template) = self { template } else { nil } }
        var chat: Chat? { if case .chat(let chat) = self { chat } else { nil } }
    }

    /// How a conversation is made of a question.
    struct Chat {
        let format: ChatFormat
        /// The field of records that holds the messages.
        let field: String
        /// What a conversation that begins with a text has in front.
        let system: String?

        /// The conversation with what the system says in front, where it has no such word of its own.
        func withSystem(_ conversation: Conversation) -> Conversation {
            guard let system, !conversation.hasSystem else { return conversation }
            return Conversation(
                messages: [["role": "system", "content": .string(system)]] + conversation.messages,
                tools: conversation.tools)
        }

        /// The conversation that a text of the user's begins.
        func conversation(_ text: String) -> Conversation {
            func message(_ role: String, _ content: String) -> JSONValue {
                ["role": .string(role), "content": .string(content)]
            }
            return Conversation(
                messages: (system.map { [message("system", $0)] } ?? []) + [message("user", text)], tools: nil)
        }
    }

    /// An adapter, or none, with what it makes of the questions.
    private struct Variant {
        /// As the user gave it.
        let label: String
        let adapter: AdapterFolder?
        let form: Form
        /// The records that are shown before each prompt; nil for none.
        let shots: FewShot?
    }

    private let base: BaseModel
    private let variants: [Variant]
    private let settings: GenerationSettings
    /// The number of questions so far, and of those that got no answer.
    private var questionCount = 0
    private(set) var failureCount = 0

    var variantCount: Int { variants.count }
    /// Whether questions are parts of conversations.
    var isChat: Bool { variants.contains { $0.form.style.chat != nil } }
    var hasShots: Bool { variants.contains { $0.shots != nil } }

    /// - Parameters:
    ///   - style: How a variant's prompts are made.
    ///   - shots: How many records of a variant's training data are shown before each prompt, drawn by a seed.
    init(
        _ selection: ModelSelection, settings: GenerationSettings, shots: (count: Int, seed: UInt64),
        style: (ModelSelection.Variant, BaseModel) throws -> Style
    ) throws {
        let first = selection.variants[0]
        if let other = selection.variants.first(where: { !ModelSelection.isSame($0.base, first.base) }) {
            throw Problem(
                "the adapters name different base models, '\(first.base)' and '\(other.base)': give one with --base")
        }
        if selection.variants.contains(where: { $0.quantization != first.quantization }) {
            throw Problem(
                "the adapters were trained on a base in different numbers of bits: say which is meant with --load-in-4bit, "
                    + "--load-in-8bit, or --no-load-in-4bit for neither")
        }
        let base = try BaseModel.load(
            first, labels: nil, isNamedByAdapter: selection.isBaseNamedByAdapter)
        if base.labels != nil { throw Self.classifierProblem(base.folder) }
        _ = try base.codec()
        self.base = base
        self.settings = settings
        let adapters = try selection.variants.map { variant in
            let adapter = try variant.adapter.map { try AdapterFolder(path: $0, warn: Console.report) }
            if let adapter, try LabelSet(of: adapter) != nil { throw Self.classifierProblem(adapter.path) }
            return adapter
        }
        let places = try adapters.map { try $0?.placesVirtualTokens ?? false }
        variants = try zip(selection.variants, zip(adapters, places)).map { variant, found in
            let (adapter, hasPlaces) = found
            let style = try style(variant, base)
            let shown = try base.with(adapter) { try Self.shots(shots, variant, base, style.template) }
            if let note = shown?.note { Console.note(note) }
            // A template is that of the adapter alone; a prompt as it is goes to all of them.
            var isPlain = false
            if case .plain = style { isPlain = true }
            let form = Form(style: style, hasPlaces: isPlain ? places.contains(true) : hasPlaces)
            return Variant(label: variant.label ?? "", adapter: adapter, form: form, shots: shown)
        }
    }

    private static func classifierProblem(_ path: String) -> Problem {
        Problem("tells labels and writes no text; 'peft predict' gives each text its label", file: path)
    }

    private static func shots(
        _ wanted: (count: Int, seed: UInt64), _ variant: ModelSelection.Variant, _ base: BaseModel,
        _ template: Template?
    ) throws -> FewShot? {
        if wanted.count == 0 { return nil }
        guard let settings = try variant.document.map(EvaluationData.settings), !settings.train.isEmpty else {
            throw Problem(
                "--shots takes records from data.train: give the run's configuration with --config",
                file: variant.adapter, exitStatus: .usage)
        }
        guard case .completion(let prompt, let completion) = settings.templates else {
            throw Problem("--shots needs prompts and completions: the run has others", exitStatus: .usage)
        }
        let encoder = ExampleEncoder(
            templates: .completion(prompt: template ?? prompt, completion: completion),
            codec: try base.codec(), maximumLength: nil, policy: settings.policy)
        return try FewShot(wanted.count, for: base, settings, encoder: encoder, seed: wanted.seed)
    }

    private func codec(_ variant: Variant) throws -> PromptCodec {
        try PromptCodec(
            base, shots: variant.shots, hasPlaces: variant.form.hasPlaces, chat: variant.form.style.chat?.format)
    }

    private func generator(_ codec: PromptCodec) -> Generator {
        Generator(model: base.model, endIDs: codec.stops, settings: settings)
    }

    /// Prints a completion while it is generated.
    mutating func stream(_ prompt: String) throws {
        let variant = variants[0]
        let results = try base.with(variant.adapter) {
            let codec = try codec(variant)
            let tokens = try encoded(.text(prompt, line: nil), variant, codec).tokens
            var text = codec.stream(after: tokens)
            let results = try generator(codec).generate(
                [tokens], firstIndex: 0, onToken: { _, token in Console.write(text.append(token)) })
            Console.line(text.finish())
            return results
        }
        report(results[0], of: .text(prompt, line: nil))
    }

    /// Prints the completions of prompts in order, each by all adapters, as soon as those before it are there.
    mutating func run(_ questions: [Question], json: Bool) throws {
        var answers: [[Answer?]] = variants.map { _ in questions.map { _ in nil } }
        var printed = 0
        func printReady() throws {
            while printed < questions.count, answers.allSatisfy({ $0[printed] != nil }) {
                for (variant, answers) in zip(variants, answers) {
                    guard let answer = answers[printed] else { continue }
                    if case .failure = answer.completion { failureCount += 1 }
                    try show(answer, of: questions[printed], by: variant, json: json)
                }
                printed += 1
            }
        }
        for (number, variant) in variants.enumerated() {
            try base.with(variant.adapter) {
                let codec = try codec(variant)
                let prompts = questions.map { question in
                    Result { () throws(Problem) in try encoded(question, variant, codec) }
                }
                for (index, prompt) in prompts.enumerated() {
                    if case .failure(let problem) = prompt {
                        answers[number][index] = Answer(prompt: nil, completion: .failure(problem))
                    }
                }
                try printReady()
                var failure: (any Error)?
                // One that can't be used keeps its place, because the random draws go by the prompts' numbers.
                _ = try generator(codec).generate(
                    prompts.map { (try? $0.get().tokens) ?? [0] }, firstIndex: questionCount,
                    limits: prompts.map { (try? $0.get()) == nil ? 0 : settings.maximumNewTokens },
                    ranks: Communicator.current,
                    onFinish: { index, generation in
                        guard failure == nil, answers[number][index] == nil, let prompt = try? prompts[index].get()
                        else { return }
                        let text = codec.answer(generation, to: prompt.tokens)
                        answers[number][index] = Answer(
                            prompt: prompt.text, completion: .success(.init(text: text, generation: generation)))
                        do { try printReady() } catch { failure = error }
                    })
                if let failure { throw failure }
            }
        }
        questionCount += questions.count
    }

    private struct Answer {
        struct Completion {
            let text: String
            let generation: Generation
        }

        /// nil where there is none.
        let prompt: String?
        let completion: Result<Completion, Problem>
    }

    private func show(_ answer: Answer, of question: Question, by variant: Variant, json: Bool) throws {
        var members: [JSONValue.Member] = []
        if variants.count > 1 { members.append(.init("adapter", .string(variant.label))) }
        var ownPrompt = answer.prompt
        if case .text(let text, _) = question { ownPrompt = ownPrompt ?? text }
        switch question {
        case .record: break
        default: if let ownPrompt { members.append(.init("prompt", .string(ownPrompt))) }
        }
        var text = ""
        switch answer.completion {
        case .success(let completion):
            text = completion.text
            members.append(.init("completion", .string(text)))
        case .failure(let problem):
            Console.report(problem)
            members.append(.init("error", .string(problem.message)))
        }
        if json {
            if case .record(let record) = question {
                Console.line(try record.json(adding: members))
            } else {
                Console.line(JSONValue.object(members).text(.compact))
            }
        } else if isAlone(question), case .failure = answer.completion {
            // Nothing would be its place.
        } else {
            Console.line((variants.count > 1 ? "\(variant.label): " : "") + text)
        }
        if case .success(let completion) = answer.completion { report(completion.generation, of: question) }
    }

    /// Whether the question is all that there is, so that no other's place depends on it.
    private func isAlone(_ question: Question) -> Bool {
        if case .text(_, line: nil) = question { true } else { false }
    }

    private func place(_ message: String, of question: Question, severity: Problem.Severity) -> Problem {
        var problem =
            switch question {
            case .text(_, nil): Problem(message)
            case .text(_, let line?): Problem(message, file: "stdin", position: TextPosition(line: line, column: 1))
            case .record(let record): record.problem(message)
            case .broken(let problem): problem
            }
        problem.severity = severity
        return problem
    }

    /// The prompt that a variant makes of a question, as text and as tokens behind what is shown before it.
    private func encoded(
        _ question: Question, _ variant: Variant, _ codec: PromptCodec
    ) throws(Problem) -> (text: String, tokens: [Int32]) {
        func problem(_ message: String) -> Problem { place(message, of: question, severity: .error) }
        do {
            let (text, ids) = try written(question, variant, codec)
            if let complaint = codec.complaint(aboutLengthOf: ids) { throw problem(complaint) }
            return (text, ids)
        } catch let found as Problem {
            throw found.file == nil || variant.form.style.chat?.format.template.file == found.file
                ? problem(found.asPart) : found
        } catch {
            throw problem("\(error)")
        }
    }

    private func written(
        _ question: Question, _ variant: Variant, _ codec: PromptCodec
    ) throws -> (text: String, ids: [Int32]) {
        guard let chat = variant.form.style.chat else {
            let prompt = try placed(question, variant)
            return (prompt.source, try codec.ids(of: prompt))
        }
        switch question {
        case .broken(let problem): throw problem
        case .text(let text, _): return (text, try codec.ids(of: chat.conversation(text)).ids)
        case .record(let record):
            if let text = record.wholeText { return (text, try codec.ids(of: chat.conversation(text)).ids) }
            return try codec.ids(of: chat.withSystem(record.conversation(in: chat.field).open))
        }
    }

    private func placed(_ question: Question, _ variant: Variant) throws -> PlacedText {
        switch question {
        case .broken(let problem): throw problem
        case .text(let text, _):
            guard let template = variant.form.style.template else { return PlacedText(text) }
            guard let filled = template.renderPlaces(filledWith: text) else {
                throw Problem(
                    "the template has the fields \(template.fieldNames.joined(separator: ", ")), and a text can fill only "
                        + "one: give records with --data")
            }
            return filled
        case .record(let record):
            guard let template = variant.form.style.template else {
                defect("GenerationSession: a record without a template")
            }
            return try record.rendered(in: template)
        }
    }

    private func report(_ generation: Generation, of question: Question) {
        if generation.stop != .lengthLimit { return }
        Console.report(
            place(
                "generation stopped: prompt and completion are as long as the model takes ("
                    + "\(base.model.promptShape.positionKey), \(base.model.maximumLength) tokens)", of: question,
                severity: .warning))
    }
}
