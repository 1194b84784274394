public import Batches
import Diagnostics

extension ExampleEncoder {
    /// What an encoder reads and a decoder learns to say of it. Each is a text of its own, with what the tokenizer puts
    /// behind one, so that what is cut keeps its end.
    func encode(
        given prompt: Template, wanted completion: Template, values: [String], _ file: RecordFile, _ index: Int
    ) throws -> Outcome {
        let count = prompt.fields.count
        var source = encode(prompt, values[..<count], isContinuation: shots != nil)
        let start = shots?.tokens ?? codec.prefix
        var target = codec.ids(of: completion.render(values[count...]), isContinuation: false)
        let lengths = (start.count + source.count + codec.suffix.count, target.count + codec.ending.count)
        var isTruncated = false
        for (length, limit, name, isSource) in [
            (lengths.0, maximumLength, limitName, true), (lengths.1, maximumTargetLength, targetLimitName, false),
        ] {
            guard let limit, length > limit else { continue }
            if let shots, isSource, policy != .drop {
                throw file.problem(
                    "\(length) tokens, those of \(shots.count) shots among them, are more than \(name) "
                        + "(\(limit)): give fewer --shots", at: index)
            }
            switch policy {
            case .drop: return .dropped
            case .error:
                throw file.problem(
                    "\(length) tokens of the \(isSource ? "prompt" : "completion") are more than \(name) (\(limit)): "
                        + "choose a max_length_policy (drop, keep_prompt_start, keep_prompt_end)", at: index)
            case .keepPromptStart, .keepPromptEnd:
                isTruncated = true
                if isSource {
                    let room = max(0, limit - start.count - codec.suffix.count)
                    source = Array(policy == .keepPromptStart ? source.prefix(room) : source.suffix(room))
                } else {
                    target = Array(target.prefix(max(0, limit - codec.ending.count)))
                }
            }
        }
        source = try withRows(start + source + codec.suffix, file, index)
        target = try withRows(target + codec.ending, file, index)
        if source.isEmpty { throw file.problem("the prompt of this record is empty", at: index) }
        if target.isEmpty {
            throw file.problem("no token of this record takes part in the loss: it is empty", at: index)
        }
        return .example(codec.example(given: source, wanted: target), isTruncated: isTruncated)
    }
}

extension TextCodec {
    /// The tokens of what is given, and those wanted of it, as the model learns them.
    public func example(given: [Int32], wanted: [Int32]) -> Example {
        guard let answerOpening else { return Example(tokens: given + wanted, firstTarget: given.count) }
        return Example(source: given, tokens: answerOpening + wanted, targets: [1..<1 + wanted.count])
    }

    /// Throws a `Problem` with a key where records can't be made for the model by `templates`.
    public func check(_ templates: ExampleTemplates, blockSize: Int?, maximumTargetLength: Int?) throws {
        guard answerOpening != nil else {
            if maximumTargetLength != nil {
                throw Problem(
                    "goes with models whose encoder reads the prompt; this one reads prompt and completion as one text, "
                        + "whose limit is max_length", key: "data.max_target_length")
            }
            return
        }
        let key: String
        switch templates {
        case .completion: return
        case .text: key = blockSize == nil ? "data.text" : "data.block_size"
        case .conversation(let source):
            throw Problem(
                "the model has an encoder for what is given and a decoder for what is wanted, so that it reads no "
                    + "conversation as one text: give prompt and completion instead of messages (\(source.field))",
                key: "data.messages")
        case .labelled: key = "data.label"
        }
        throw Problem(
            "the model has an encoder for what is given and a decoder for what is wanted: give prompt and completion",
            key: key)
    }
}
