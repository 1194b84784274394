public import JSONText
import Diagnostics

/// A conversation as templates take it: messages with `role` and `content`, and the tools that there were.
public struct Conversation: Sendable, Hashable {
    public let messages: [JSONValue]
    /// Nil where the record names none.
    public let tools: [JSONValue]?

    /// Reads a record of OpenAI's form, `messages` with `role` and `content`, or of ShareGPT's, `conversations` with `from`
    /// and `value`; what else a message of the first has, such as `tool_calls`, is kept.
    ///
    /// - Parameters:
    ///   - field: The member that holds the messages, whichever form they have; nil for the forms' own names.
    ///   - needsAnswer: Whether there has to be a turn of an assistant.
    /// - Throws: `Problem` with the record's file and line for what is no conversation: no list, no turn of an assistant,
    ///   two system messages, a role that isn't known, a turn without content.
    public init(_ record: JSONNode, field: String? = nil, needsAnswer: Bool = true) throws {
        let list = try Self.list(of: record, field)
        var messages: [Message] = []
        if let system = try record.optionalString("system"), !system.isEmpty {
            messages = [Message(node: record, role: .system, members: Message.plain(.system, system))]
        }
        let nodes = try list.asArray()
        if nodes.isEmpty { throw list.problem("there are no messages") }
        messages += try nodes.map { try Message($0) }
        let systems = messages.filter { $0.role == .system || $0.role == .developer }
        if systems.count > 1 {
            throw systems[1].node.problem("a second system message; a conversation has one at most")
        }
        if needsAnswer, !messages.contains(where: { $0.role == .assistant }) {
            throw list.problem("there is no message of an assistant, from which alone a model learns")
        }
        self.messages = messages.map { .object($0.members) }
        tools = try Self.tools(of: record)
    }

    private static func list(of record: JSONNode, _ field: String?) throws -> JSONNode {
        if let field {
            if let list = try record.optional(field) { return list }
            throw record.problem("no field '\(field)'" + (try fields(of: record)))
        }
        let (messages, conversations) = (try record.optional("messages"), try record.optional("conversations"))
        switch (messages, conversations) {
        case (let list?, nil), (nil, let list?): return list
        case (.some, let other?): throw other.problem("stands beside 'messages'; a record has one of them")
        case (nil, nil):
            throw record.problem("no field 'messages' or 'conversations'" + (try fields(of: record)))
        }
    }

    private static func fields(of record: JSONNode) throws -> String {
        let names = try record.asObject().map(\.key).joined(separator: ", ")
        return names.isEmpty ? "; there is none" : "; there is \(names)"
    }

    /// The tools, which some data sets have as a text of JSON.
    private static func tools(of record: JSONNode) throws -> [JSONValue]? {
        guard let node = try record.optional("tools") else { return nil }
        var list = node
        if case .string(let text) = node.content {
            if text.isEmpty { return nil }
            list = try embedded(text, node)
        }
        guard case .array(let tools) = list.content else {
            throw node.problem("expected an array, got \(list.summary)")
        }
        return try tools.map { tool in
            guard case .object = tool.content else { throw node.problem("expected objects, got \(tool.summary)") }
            return tool.plain
        }
    }

    /// JSON that stands within a text.
    static func embedded(_ text: String, _ node: JSONNode) throws -> JSONNode {
        do {
            return try JSONNode.parse(text)
        } catch let problem as Problem {
            throw node.problem("the text is not JSON: \(problem.message)")
        }
    }
}
