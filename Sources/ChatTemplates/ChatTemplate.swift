public import Diagnostics
public import JSONText
import Glibc

/// A chat template in Jinja's language, rendered as transformers' `apply_chat_template` does.
public struct ChatTemplate: Sendable {
    /// The path that problems name.
    public let file: String
    /// The template itself.
    public let source: String
    private let program: TemplateProgram

    /// Takes a template apart.
    ///
    /// - Throws: `Problem` with line and column for what isn't well formed or isn't known.
    public init(_ source: String, file: String) throws(Problem) {
        (self.file, self.source) = (file, source)
        do {
            program = try TemplateProgram(source)
        } catch {
            throw Self.problem(error, file)
        }
    }

    private static func problem(_ error: any Error, _ file: String) -> Problem {
        guard let failure = error as? Failure else { return Problem("\(error)", file: file) }
        return Problem(failure.message, file: file, position: failure.position)
    }

    /// Whether the template mentions a variable.
    public func mentions(_ name: String) -> Bool { program.names.contains { sameName($0, name) } }

    /// The text of a conversation.
    ///
    /// Members of messages that are null are left out, as transformers does it, and a message's thoughts go by all the names
    /// that templates have for them.
    ///
    /// - Parameters:
    ///   - messages: Objects with `role` and `content`.
    ///   - addGenerationPrompt: Whether the beginning of an answer stands at the end.
    ///   - tools: Descriptions of the functions that the model may call.
    ///   - variables: Others that the template may use, such as `bos_token`.
    ///   - time: What `strftime_now` takes for now, in seconds since 1970; nil for now itself.
    /// - Throws: `Problem` with the template's line; of what the template raises, in its own words.
    public func render(
        messages: [JSONValue], addGenerationPrompt: Bool, tools: [JSONValue]? = nil,
        variables: [JSONValue.Member] = [], time: Int? = nil
    ) throws(Problem) -> RenderedChat {
        var members: [JSONValue.Member] = [
            .init("messages", .array(messages.map(Self.normalized))), .init("tools", tools.map { .array($0) } ?? .null),
            .init("documents", .null), .init("add_generation_prompt", .boolean(addGenerationPrompt)),
        ]
        members += variables
        return try render(members, time: time)
    }

    /// The text with `variables`, as they are.
    ///
    /// - Throws: `Problem` with the template's line.
    public func render(_ variables: [JSONValue.Member], time: Int? = nil) throws(Problem) -> RenderedChat {
        do {
            let renderer = Renderer(
                program, try variables.map { ($0.key, try Value($0.value)) }, time: time ?? Glibc.time(nil))
            try renderer.render()
            return RenderedChat(text: renderer.text, generationSpans: renderer.generationSpans)
        } catch {
            throw Self.problem(error, file)
        }
    }

    private static let thoughts = ["reasoning_content", "thinking", "reasoning"]

    private static func normalized(_ message: JSONValue) -> JSONValue {
        guard case .object(let members) = message else { return message }
        var result = members.filter { $0.value != .null }
        guard let thought = thoughts.lazy.compactMap({ name in result.last { $0.key == name }?.value }).first else {
            return .object(result)
        }
        // Python's `{"thinking": thought, **message}`: in front, with the message's own value.
        let own = result.last { $0.key == "thinking" }?.value
        result.removeAll { $0.key == "thinking" }
        result.insert(.init("thinking", own ?? thought), at: 0)
        if let index = result.firstIndex(where: { $0.key == "reasoning_content" }) {
            result[index].value = thought
        } else {
            result.append(.init("reasoning_content", thought))
        }
        return .object(result)
    }
}

/// What a chat template makes of a conversation.
public struct RenderedChat: Sendable, Hashable {
    public let text: String
    /// What the template marks by `generation`, as bytes of the text, in order.
    public let generationSpans: [Range<Int>]
}

extension Value {
    init(_ json: JSONValue) throws {
        switch json {
        case .null: self = .none
        case .boolean(let value): self = .boolean(value)
        case .integer(let value): self = .integer(value)
        case .number(let value): self = .number(value)
        case .string(let text): self = .string(text)
        case .array(let values): self = try .list(values.map { try Value($0) })
        case .object(let members):
            self = .dictionary(try DictionaryValue(members.map { (.string($0.key), try Value($0.value)) }))
        }
    }
}
