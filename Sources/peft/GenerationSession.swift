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
    private let manner: GenerationManner
    /// Whether a question names the adapter that answers it.
    var isRouted: Bool
    /// The number of questions so far, and of those that got no answer.
    private var questionCount = 0
    private(set) var failureCount = 0

    var variantCount: Int { variants.count }
    /// Whether questions are parts of conversations.
    var isChat: Bool { variants.contains { $0.form.style.chat != nil } }
    var hasShots: Bool { variants.contains { $0.shots != nil } }

    /// - Parameters:
    ///   - manner: How texts are generated with a base.
    ///   - style: How a variant's prompts are made.
    ///   - shots: How many records of a variant's training data are shown before each prompt, drawn by a seed.
    init(
        _ selection: ModelSelection, manner: (BaseModel) throws -> GenerationManner,
        shots: (count: Int, seed: UInt64),
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
        self.manner = try manner(base)
        isRouted = selection.areNamed
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
        var codec = try PromptCodec(
            base, shots: variant.shots, hasPlaces: variant.form.hasPlaces, chat: variant.form.style.chat?.format)
        codec.stopTexts = manner.stopTexts
        return codec
    }

    /// Whether each token is known to belong to the answer as soon as it comes.
    var comesByToken: Bool { manner.stopTexts.isEmpty && manner.settings.beams == nil }

    /// Prints a completion while it is generated.
    mutating func stream(_ prompt: String) throws {
        let variant = variants[0]
        let results = try base.with(variant.adapter) {
            let codec = try codec(variant)
            let tokens = try encoded(.text(prompt, line: nil), variant, codec).tokens
            var text = codec.stream(after: tokens)
            let results = try manner.decoding.generator(base, codec, manner.settings, prompts: [tokens]).generate(
                [tokens], firstIndex: 0, limits: [manner.limit(for: tokens, base)],
                onToken: { _, token in Console.write(text.append(token)) })
            Console.line(text.finish())
            return results
        }
        report(results[0], of: .text(prompt, line: nil))
    }

    /// Whether a JSON object on a line is a record, rather than a text that looks like one.
    func takes(_ record: Record) -> Bool {
        isRouted
            || variants.contains { variant in
                switch variant.form.style {
                case .chat: true
                // One that is no text is an error of its own.
                case .plain: (try? record.text(of: "prompt") != nil) ?? true
                case .template(let template): (try? record.rendered(in: template)) != nil
                }
            }
    }

    /// Which of the variants answer a question.
    private enum Target {
        case all
        case one(Int)
        case none(Problem)

        func takes(_ number: Int) -> Bool {
            switch self {
            case .all: true
            case .one(let chosen): chosen == number
            case .none: false
            }
        }
    }

    private func target(of question: Question) -> Target {
        if !isRouted { return .all }
        func refused(_ message: String) -> Target {
            let names = variants.map { "'\($0.label)'" }.joined(separator: ", ")
            var problem = place(message + names, of: question, severity: .error)
            problem.key = "adapter"
            return .none(problem)
        }
        switch question {
        case .broken(let problem): return .none(problem)
        case .text: return refused("names no adapter: write a JSON record with \"adapter\", which is one of ")
        case .record(let record):
            do {
                guard let name = try record.text(of: "adapter") else {
                    return refused("names no adapter: give it with \"adapter\", one of ")
                }
                guard let number = variants.firstIndex(where: { $0.label == name }) else {
                    return refused("there is no adapter '\(name)', but ")
                }
                return .one(number)
            } catch {
                return .none(error as? Problem ?? place("\(error)", of: question, severity: .error))
            }
        }
    }

    /// Prints the completions of prompts in order, each by the adapter that it names or by all, as soon as those before it
    /// are there.
    mutating func run(_ questions: [Question], json: Bool) throws {
        let targets = questions.map { target(of: $0) }
        var answers: [[Answer?]] = variants.map { _ in questions.map { _ in nil } }
        var printed = 0
        func printReady() throws {
            while printed < questions.count,
                answers.indices.allSatisfy({ !targets[printed].takes($0) || answers[$0][printed] != nil })
            {
                if case .none(let problem) = targets[printed] {
                    failureCount += 1
                    let answer = Answer(prompt: nil, completion: .failure(problem))
                    try show(answer, of: questions[printed], by: nil, json: json)
                }
                for (variant, answers) in zip(variants, answers) {
                    guard let answer = answers[printed] else { continue }
                    if case .failure = answer.completion { failureCount += 1 }
                    try show(
                        answer, of: questions[printed], by: isRouted || variants.count == 1 ? nil : variant, json: json)
                }
                printed += 1
            }
        }
        for (number, variant) in variants.enumerated() where targets.contains(where: { $0.takes(number) }) {
            try base.with(variant.adapter) {
                let codec = try codec(variant)
                // nil where another adapter answers.
                let prompts = zip(questions, targets).map {
                    question, target -> Result<(text: String, tokens: [Int32]), Problem>? in
                    if !target.takes(number) { return nil }
                    return Result { () throws(Problem) in try encoded(question, variant, codec) }
                }
                for (index, prompt) in prompts.enumerated() {
                    if case .failure(let problem) = prompt {
                        answers[number][index] = Answer(prompt: nil, completion: .failure(problem))
                    }
                }
                try printReady()
                var failure: (any Error)?
                // One that can't be used keeps its place, because the random draws go by the prompts' numbers.
                let tokens = prompts.map { (try? $0?.get().tokens) ?? [0] }
                _ = try manner.decoding.generator(base, codec, manner.settings, prompts: tokens).generate(
                    tokens, firstIndex: questionCount,
                    limits: zip(prompts, tokens).map { (try? $0?.get()) == nil ? 0 : manner.limit(for: $1, base) },
                    ranks: Communicator.current,
                    onFinish: { index, generation in
                        guard failure == nil, answers[number][index] == nil, let prompt = try? prompts[index]?.get()
                        else { return }
                        let text = codec.answer(generation, to: prompt.tokens)
                        let others = generation.alternatives.map { codec.answer($0, to: prompt.tokens) }
                        answers[number][index] = Answer(
                            prompt: prompt.text,
                            completion: .success(.init(text: text, generation: generation, others: others)))
                        do { try printReady() } catch { failure = error }
                    })
                if let failure { throw failure }
            }
        }
        try printReady()
        questionCount += questions.count
    }

    private struct Answer {
        struct Completion {
            let text: String
            let generation: Generation
            /// The next best texts of a search by beams.
            let others: [String]
        }

        /// nil where there is none.
        let prompt: String?
        let completion: Result<Completion, Problem>
    }

    /// - Parameter variant: Who answers, where that is told.
    private func show(_ answer: Answer, of question: Question, by variant: Variant?, json: Bool) throws {
        var members: [JSONValue.Member] = []
        if let variant { members.append(.init("adapter", .string(variant.label))) }
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
            members += Self.members(completion)
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
            let name = variant.map { "\($0.label): " } ?? ""
            Console.line(name + text)
            if case .success(let completion) = answer.completion {
                for other in completion.others { Console.line(name + other) }
            }
        }
        if case .success(let completion) = answer.completion { report(completion.generation, of: question) }
    }

    /// What a search by beams tells beside the best text.
    private static func members(_ completion: Answer.Completion) -> [JSONValue.Member] {
        func number(_ generation: Generation) -> JSONValue {
            generation.score.map { .number(Double($0.description) ?? Double($0)) } ?? nil
        }
        if completion.generation.score == nil { return [] }
        let score = JSONValue.Member("score", number(completion.generation))
        if completion.others.isEmpty { return [score] }
        let others = zip(completion.others, completion.generation.alternatives).map { text, generation in
            JSONValue.object([.init("completion", .string(text)), .init("score", number(generation))])
        }
        return [score, .init("alternatives", .array(others))]
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
            if let complaint = codec.complaint(aboutLengthOf: ids) ?? manner.complaint(aboutLengthOf: ids, base) {
                throw problem(complaint)
            }
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
            if let template = variant.form.style.template { return try record.rendered(in: template) }
            if let text = try record.wholeText ?? record.text(of: "prompt") { return PlacedText(text) }
            throw record.problem("has no text in \"prompt\", which is what is continued")
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
