import Diagnostics
public import Tokenizers

/// How examples are made from records.
public struct ExampleEncoder: Sendable {
    public var templates: ExampleTemplates
    public var tokenizer: any Tokenizer
    /// The token in front of every example, for models that have one.
    public var beginningID: Int32?
    /// The token behind every completion and text, for models that have one.
    public var endID: Int32?
    /// The most tokens of an example, or nil for any number.
    public var maximumLength: Int?
    public var policy: LengthPolicy
    /// What `maximumLength` is, for messages.
    public var limitName = "max_length"

    public init(
        templates: ExampleTemplates, tokenizer: any Tokenizer, beginningID: Int32?, endID: Int32?,
        maximumLength: Int?, policy: LengthPolicy
    ) {
        self.templates = templates
        self.tokenizer = tokenizer
        self.beginningID = beginningID
        self.endID = endID
        self.maximumLength = maximumLength
        self.policy = policy
    }

    enum Outcome {
        case example(Example, isTruncated: Bool)
        case dropped
    }

    /// Prompt and completion are tokenized apart, as generation will see them. Throws a `Problem` with file and line.
    func encode(_ file: RecordFile, _ index: Int) throws -> Outcome {
        let values = try file.texts(of: templates.fieldNames, at: index)
        let start = beginningID.map { [$0] } ?? []
        let end = endID.map { [$0] } ?? []
        var prompt: [Int32] = []
        var completion: [Int32]
        switch templates {
        case .completion(let promptTemplate, let completionTemplate):
            let promptFields = promptTemplate.fieldNames.count
            prompt = tokenizer.encode(promptTemplate.render(values[..<promptFields]))
            completion = tokenizer.encode(completionTemplate.render(values[promptFields...])) + end
        case .text(let template):
            completion = tokenizer.encode(template.render(values)) + end
        }
        var isTruncated = false
        if let maximumLength, start.count + prompt.count + completion.count > maximumLength {
            let length = start.count + prompt.count + completion.count
            switch policy {
            case .drop: return .dropped
            case .error:
                throw file.problem(
                    "\(length) tokens are more than \(limitName) (\(maximumLength)): choose a max_length_policy "
                        + "(drop, keep_prompt_start, keep_prompt_end)", at: index)
            case .keepPromptStart, .keepPromptEnd:
                try shorten(&prompt, &completion, to: maximumLength - start.count, file, index)
                isTruncated = true
            }
        }
        let tokens = start + prompt + completion
        let firstTarget = max(1, start.count + prompt.count)
        guard firstTarget < tokens.count else {
            throw file.problem("no token of this record takes part in the loss: it is empty", at: index)
        }
        return .example(Example(tokens: tokens, firstTarget: firstTarget), isTruncated: isTruncated)
    }

    /// The tokens of a record that is to lie between others without a border of its own.
    func encodeForBlocks(_ file: RecordFile, _ index: Int) throws -> [Int32] {
        // Each line by itself: so blank lines come out as they do in the middle of a longer text.
        if file.format == .text { return file.lines(at: index).flatMap { tokenizer.encode($0) } }
        guard case .text(let template) = templates else {
            preconditionFailure("ExampleEncoder: blocks are cut from texts, not from prompts and completions")
        }
        let text = template.render(try file.texts(of: template.fieldNames, at: index))
        return tokenizer.encode(text) + (endID.map { [$0] } ?? [])
    }

    private func shorten(
        _ prompt: inout [Int32], _ completion: inout [Int32], to room: Int, _ file: RecordFile, _ index: Int
    ) throws {
        if case .text = templates {
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
