import Batches
import Diagnostics

/// How examples are made from records.
public struct ExampleEncoder: Sendable {
    public var templates: ExampleTemplates
    /// Makes the tokens; what ends a text stands behind every completion and text.
    public var codec: TextCodec
    /// The most tokens of an example, or nil for any number.
    public var maximumLength: Int?
    /// The same of what a decoder learns to say; `maximumLength` is that of what its encoder reads then.
    public var maximumTargetLength: Int?
    public var policy: LengthPolicy
    /// What labels stand for; needed where the templates have a label.
    public var labels: LabelSet?
    /// The token that texts are filled up with elsewhere. At the end of one that has a label it is left out, because the
    /// last other token is the one that tells the label.
    public var paddingID: Int32?
    /// How conversations are written; needed where the templates name one.
    public var chat: ChatFormat?
    /// Solved records in front of every prompt, and what ends their completions as it ends this one's.
    public var shots: Shots?
    /// Whether a language model is asked for the labels, which begins an empty text as it begins any: behind the end of
    /// another.
    public var beginsEmptyTexts = false
    /// What `maximumLength` is, for messages.
    public var limitName = "max_length"
    /// What `maximumTargetLength` is, for messages.
    var targetLimitName = "max_target_length"

    /// What examples may be no longer than, for messages.
    var limits: String {
        let whole = limitName + (maximumLength.map { " (\($0))" } ?? "")
        guard let maximumTargetLength, targetLimitName != limitName else { return whole }
        return whole + " or \(targetLimitName) (\(maximumTargetLength))"
    }

    /// What a model's own limit is called, where it has `count` virtual tokens in front of every text.
    public static func limitName(besideVirtualTokens count: Int) -> String {
        "what the model takes" + (count == 0 ? "" : " beside \(count) virtual tokens")
    }

    /// Records that show a model what to do (Brown et al. 2020).
    public struct Shots: Sendable, Hashable {
        /// With what stands in front of every text.
        public var tokens: [Int32]
        public var ending: [Int32]
        public var count: Int

        public init(tokens: [Int32], ending: [Int32], count: Int) {
            self.tokens = tokens
            self.ending = ending
            self.count = count
        }
    }

    public init(templates: ExampleTemplates, codec: TextCodec, maximumLength: Int?, policy: LengthPolicy) {
        self.templates = templates
        self.codec = codec
        self.maximumLength = maximumLength
        self.policy = policy
    }

    enum Outcome {
        case example(Example, isTruncated: Bool)
        case dropped
    }

    /// Whether how many examples there are is known only after all records were encoded.
    var mayDrop: Bool {
        if case .labelled(_, let label) = templates, label.isPartial { return true }
        // A cut may take away all that a conversation teaches.
        if case .conversation = templates, policy != .error { return maximumLength != nil }
        return policy == .drop && (maximumLength != nil || maximumTargetLength != nil)
    }

    /// Prompt and completion are tokenized apart, as generation will see them. Throws a `Problem` with file and line.
    func encode(_ file: RecordFile, _ index: Int) throws -> Outcome {
        if case .conversation(let source) = templates { return try encode(source, file, index) }
        let values = try file.texts(of: templates.fields, at: index)
        if codec.answerOpening != nil, case .completion(let prompt, let completion) = templates {
            return try encode(given: prompt, wanted: completion, values: values, file, index)
        }
        let start = shots?.tokens ?? codec.prefix
        let end = shots?.ending ?? codec.ending
        var label: Example.Label?
        var prompt: [Int32] = []
        var completion: [Int32]
        var tail: [Int32] = []
        switch templates {
        case .completion(let promptTemplate, let completionTemplate):
            let promptFields = promptTemplate.fields.count
            prompt = encode(promptTemplate, values[..<promptFields], isContinuation: shots != nil)
            let text = completionTemplate.render(values[promptFields...])
            completion = codec.ids(of: text, isContinuation: shots != nil || prompt.contains { $0 >= 0 }) + end
        case .text(let template):
            completion = codec.ids(of: template.render(values), isContinuation: shots != nil) + end
        case .conversation: defect("ExampleEncoder: a conversation among templates")
        case .labelled(let textTemplate, let labelTemplate):
            let textFields = textTemplate.fields.count
            guard let name = labelTemplate.label(values[textFields...]) else { return .dropped }
            label = try self.label(name, file, index)
            completion = encode(textTemplate, values[..<textFields], isContinuation: false)
            tail = codec.suffix
        }
        var isTruncated = false
        let length = start.count + prompt.count + completion.count + tail.count
        if let maximumLength, length > maximumLength {
            if let shots, policy != .drop {
                throw file.problem(
                    "\(length) tokens, those of \(shots.count) shots among them, are more than \(limitName) "
                        + "(\(maximumLength)): give fewer --shots", at: index)
            }
            switch policy {
            case .drop: return .dropped
            case .error:
                throw file.problem(
                    "\(length) tokens are more than \(limitName) (\(maximumLength)): choose a max_length_policy "
                        + "(drop, keep_prompt_start, keep_prompt_end)", at: index)
            case .keepPromptStart, .keepPromptEnd:
                try shorten(&prompt, &completion, to: maximumLength - start.count - tail.count, file, index)
                isTruncated = true
            }
        }
        var tokens = try withRows(start + prompt + completion + tail, file, index)
        if let label {
            while tokens.count > 1, tokens.last == paddingID { tokens.removeLast() }
            if tokens.isEmpty, beginsEmptyTexts { tokens = try withRows(codec.ending, file, index) }
            if tokens.isEmpty { throw file.problem("the text of this record is empty", at: index) }
            return .example(Example(tokens: tokens, label: label), isTruncated: isTruncated)
        }
        let firstTarget = max(1, start.count + prompt.count)
        guard firstTarget < tokens.count else {
            throw file.problem("no token of this record takes part in the loss: it is empty", at: index)
        }
        return .example(Example(tokens: tokens, firstTarget: firstTarget), isTruncated: isTruncated)
    }

    private func label(_ name: String, _ file: RecordFile, _ index: Int) throws -> Example.Label {
        guard let labels else { defect("ExampleEncoder: a label's template without labels") }
        try LabelSet.check(name, file, index)
        if labels.isRegression {
            if let value = LabelSet.value(name) { return .value(value) }
            throw file.problem("the label '\(name)' is no number", at: index)
        }
        if let number = labels.number(of: name) { return .category(number) }
        throw file.problem("'\(name)' is none of the labels\(labels.alternatives(to: name))", at: index)
    }

    /// The text of what is given, without places for virtual tokens.
    func given(_ template: Template, _ values: ArraySlice<String>) -> String {
        if codec.virtualTokens == .none { return template.render(values) }
        return template.renderPlaces(values).parts.reduce(into: "") { text, part in
            if case .text(let piece) = part { text += piece }
        }
    }

    /// The tokens of what is given, virtual ones in their places.
    func encode(_ template: Template, _ values: ArraySlice<String>, isContinuation: Bool) -> [Int32] {
        codec.virtualTokens == .none
            ? codec.ids(of: template.render(values), isContinuation: isContinuation)
            : codec.ids(of: template.renderPlaces(values), isContinuation: isContinuation)
    }

    /// The tokens of a record that is to lie between others without a border of its own.
    func encodeForBlocks(_ file: RecordFile, _ index: Int) throws -> [Int32] {
        // Each line by itself: so blank lines come out as they do in the middle of a longer text.
        if file.format == .text {
            return try withRows(file.lines(at: index).flatMap { codec.whole($0) }, file, index)
        }
        guard case .text(let template) = templates else {
            defect("ExampleEncoder: blocks are cut from texts, not from prompts and completions")
        }
        let text = template.render(try file.texts(of: template.fields, at: index))
        return try withRows(codec.opening(text) + codec.ending, file, index)
    }

    /// Throws a `Problem` where the model has no row for a token.
    func withRows(_ tokens: [Int32], _ file: RecordFile, _ index: Int) throws -> [Int32] {
        if let complaint = codec.complaint(about: tokens) { throw file.problem(complaint, at: index) }
        return tokens
    }

    private var isCompletion: Bool { if case .completion = templates { true } else { false } }

    private func shorten(
        _ prompt: inout [Int32], _ completion: inout [Int32], to room: Int, _ file: RecordFile, _ index: Int
    ) throws {
        guard room >= 1 else {
            throw file.problem("\(limitName) leaves no room for a text (\(maximumLength ?? 0))", at: index)
        }
        if !isCompletion {
            completion = Array(policy == .keepPromptStart ? completion.prefix(room) : completion.suffix(room))
            return
        }
        guard completion.count <= room else {
            throw file.problem(
                "the completion alone has \(completion.count) tokens, more than \(limitName) leaves (\(room)): "
                    + "set max_length_policy to drop", at: index)
        }
        let rest = room - completion.count
        prompt = Array(policy == .keepPromptStart ? prompt.prefix(rest) : prompt.suffix(rest))
    }
}
