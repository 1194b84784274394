import Batches
import ChatTemplates
import Diagnostics
import JSONText

extension ExampleEncoder {
    /// A conversation in the words of the model's template, of which the turns that are learned are the targets.
    ///
    /// - Throws: `Problem` with the record's file and line.
    func encode(_ source: ConversationTemplate, _ file: RecordFile, _ index: Int) throws -> Outcome {
        let text = try chatText(source, file, index)
        var (tokens, targets) = codec.ids(of: text.text, marking: text.learned)
        if let complaint = codec.complaint(about: tokens) { throw file.problem(complaint, at: index) }
        var isTruncated = false
        if let maximumLength, tokens.count > maximumLength {
            switch policy {
            case .drop: return .dropped
            case .error:
                throw file.problem(
                    "\(tokens.count) tokens are more than \(limitName) (\(maximumLength)): choose a max_length_policy "
                        + "(drop, keep_prompt_start, keep_prompt_end)", at: index)
            case .keepPromptStart, .keepPromptEnd:
                let kept =
                    policy == .keepPromptStart ? 0..<maximumLength : tokens.count - maximumLength..<tokens.count
                tokens = Array(tokens[kept])
                targets = targets.map { $0.clamped(to: kept) }.map {
                    $0.lowerBound - kept.lowerBound..<$0.upperBound - kept.lowerBound
                }
                isTruncated = true
            }
        }
        // Nothing predicts the first token.
        targets = targets.map { max(1, $0.lowerBound)..<max(1, $0.upperBound) }.filter { !$0.isEmpty }
        if targets.isEmpty {
            // What was to be learned was cut off.
            if isTruncated { return .dropped }
            throw file.problem("no token of this conversation takes part in the loss", at: index)
        }
        return .example(Example(tokens: tokens, targets: targets), isTruncated: isTruncated)
    }

    /// The text of a record's conversation with what of it is learned.
    func chatText(_ source: ConversationTemplate, _ file: RecordFile, _ index: Int) throws -> ChatFormat.Text {
        guard let chat else { defect("ExampleEncoder: conversations without a chat template") }
        let conversation = try file.conversation(in: source.field, at: index)
        do {
            return try chat.text(conversation.messages, tools: conversation.tools, learning: source.loss)
        } catch let problem as Problem {
            throw file.problem(problem.asPart, at: index)
        }
    }
}

extension RecordFile {
    /// The conversation in a field of record `index`.
    ///
    /// - Throws: `Problem` with file, line and key.
    func conversation(in field: String, at index: Int, needsAnswer: Bool = true) throws -> Conversation {
        guard format == .jsonLines || format == .json else {
            throw problem("messages are lists, which only .jsonl and .json files have", at: index)
        }
        return try withExtendedLifetime(file) {
            let (bytes, line) = (extent(of: index), line(of: index))
            var reader = JSONReader(bytes, file: path, line: line)
            let record = try reader.readNode()
            return try Conversation(record, field: field, needsAnswer: needsAnswer)
        }
    }
}

extension Problem {
    /// The problem as a part of another's message, with its place.
    package var asPart: String {
        let place = [file, position.map { "\($0.line)" }].compactMap { $0 }.joined(separator: ":")
        return place.isEmpty ? message : "\(place): \(message)"
    }
}
