import Diagnostics
import JSONText

/// A message of a conversation with its place in a file.
struct Message {
    enum Role: String, CaseIterable {
        case system, developer, user, assistant, tool, function
    }

    /// What ShareGPT's form calls the roles beside their own names.
    private static let otherNames: [String: Role] = [
        "human": .user, "gpt": .assistant, "function_call": .assistant, "observation": .tool, "chatgpt": .assistant,
        "bing": .assistant, "bard": .assistant,
    ]

    let node: JSONNode
    let role: Role
    let members: [JSONValue.Member]

    init(node: JSONNode, role: Role, members: [JSONValue.Member]) {
        self.node = node
        self.role = role
        self.members = members
    }

    init(_ node: JSONNode) throws {
        self.node = node
        let object = try node.asObject()
        if node.member("role") == nil, let sender = node.member("from") {
            let name = try sender.asString()
            guard let role = Self.otherNames[name] ?? Role(rawValue: name) else {
                throw Self.unknown(name, sender, Self.otherNames.keys.sorted())
            }
            self.role = role
            members = try Self.turn(node, role, name, others: object)
            return
        }
        let name = try node.required("role")
        guard let role = Role(rawValue: try name.asString()) else { throw Self.unknown(try name.asString(), name, []) }
        self.role = role
        let key = node.member("content") == nil && node.member("value") != nil ? "value" : "content"
        try Self.checkContent(node, role, key)
        if let calls = try node.optional("tool_calls") { try Self.checkCalls(calls) }
        members = object.map { .init($0.key == key ? "content" : $0.key, $0.value.plain) }
    }

    static func plain(_ role: Role, _ content: String) -> [JSONValue.Member] {
        [.init("role", .string(role.rawValue)), .init("content", .string(content))]
    }

    private static func unknown(_ name: String, _ node: JSONNode, _ others: [String]) -> Problem {
        let known = (Role.allCases.map(\.rawValue) + others).joined(separator: ", ")
        return node.problem("the role \(JSONValue.string(name).text(.compact)) isn't known; known are \(known)")
    }

    /// A turn of ShareGPT's form.
    private static func turn(
        _ node: JSONNode, _ role: Role, _ name: String, others: [JSONMember]
    ) throws -> [JSONValue.Member] {
        let value = try node.required(node.member("value") == nil ? "content" : "value")
        if name == "function_call" {
            return [
                .init("role", "assistant"), .init("content", ""), .init("tool_calls", .array(try calls(in: value))),
            ]
        }
        try checkContent(node, role, node.member("value") == nil ? "content" : "value")
        let rest = others.filter { !["from", "value", "role", "content"].contains($0.key) }
        return [.init("role", .string(role.rawValue)), .init("content", value.plain)]
            + rest.map { .init($0.key, $0.value.plain) }
    }

    /// The calls of functions that a text of JSON has: one object with `name` and `arguments`, or a list of such.
    private static func calls(in value: JSONNode) throws -> [JSONValue] {
        let parsed = try Conversation.embedded(try value.asString(), value)
        let list: [JSONNode]
        if case .array(let calls) = parsed.content { list = calls } else { list = [parsed] }
        if list.isEmpty { throw value.problem("there is no call of a function") }
        return try list.map { call in
            guard case .string(let name)? = call.member("name")?.content else {
                throw value.problem("a call of a function needs a 'name' and 'arguments', got \(call.summary)")
            }
            let arguments = call.member("arguments")?.plain ?? .object([])
            return ["type": "function", "function": ["name": .string(name), "arguments": arguments]]
        }
    }

    private static func checkCalls(_ calls: JSONNode) throws {
        for call in try calls.asArray() { _ = try call.asObject() }
    }

    /// Whether there is a content: a text, or a list of parts that are texts. Where functions are called, it may be absent.
    private static func checkContent(_ node: JSONNode, _ role: Role, _ key: String) throws {
        var callsFunctions = false
        if case .array(let calls)? = node.member("tool_calls")?.content { callsFunctions = !calls.isEmpty }
        if case .object? = node.member("function_call")?.content { callsFunctions = true }
        if role == .assistant, callsFunctions, try node.optional(key) == nil { return }
        let content = try node.required(key)
        var isEmpty = true
        switch content.content {
        case .string(let text): isEmpty = text.isEmpty
        case .array:
            for part in try content.asArray() {
                let type = try part.string("type")
                if type != "text" {
                    throw try part.required("type").problem("the part of type '\(type)' isn't supported; only text is")
                }
                if try !part.string("text").isEmpty { isEmpty = false }
            }
        default: throw content.problem("expected a string or an array of parts, got \(content.summary)")
        }
        // A function may have nothing to give back, and a system message nothing to say.
        let mustSpeak = role == .user || role == .assistant && !callsFunctions
        if isEmpty, mustSpeak { throw content.problem("the content is empty") }
    }
}
