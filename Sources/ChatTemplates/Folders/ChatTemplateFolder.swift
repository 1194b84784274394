public import Diagnostics
import Files
public import JSONText

/// The chat templates of a model folder, found where transformers looks for them.
///
/// `chat_template.jinja` and the files in `additional_chat_templates` go before `chat_template` of tokenizer_config.json,
/// which is a text, or a list of names and texts. Where there is none of these, the one of chat_template.json counts, which
/// only processors have in transformers.
public struct ChatTemplateFolder: Sendable {
    private struct Source {
        var name: String
        var text: String
        /// What problems name.
        var file: String
    }

    /// The folder's path as the user wrote it.
    public let folder: String
    /// What templates call the special tokens, `bos_token` and its like, with their texts.
    public let specialTokens: [JSONValue.Member]
    private let sources: [Source]

    /// The names of the templates, sorted; one alone is `default`.
    public var names: [String] { sources.map(\.name).sorted { $0.precedesByCodePoints($1) } }

    /// - Throws: `Problem` with file and position for what can't be read.
    public init(_ folder: String) throws {
        self.folder = folder
        let config = try Self.load("tokenizer_config.json", folder)
        specialTokens = try SpecialTokenNames.read(
            config, map: try Self.load("special_tokens_map.json", folder))
        var sources = try Self.files(folder)
        if sources.isEmpty, let template = try config?.optional("chat_template") { sources = try Self.texts(template) }
        if sources.isEmpty, let template = try Self.load("chat_template.json", folder)?.optional("chat_template") {
            sources = try Self.texts(template)
        }
        self.sources = sources
    }

    /// The template of a name.
    ///
    /// - Parameters:
    ///   - name: Nil for the one for tools where there are such, otherwise for the one that is called default.
    ///   - hasTools: Whether the conversation has tools.
    /// - Throws: `Problem` where there is no such template, or with line and column where it isn't well formed.
    public func template(named name: String? = nil, hasTools: Bool = false) throws(Problem) -> ChatTemplate {
        if sources.isEmpty {
            throw Problem(
                "the model has no chat template: looked for chat_template.jinja, additional_chat_templates, "
                    + "chat_template.json, and chat_template in tokenizer_config.json", file: folder)
        }
        func find(_ name: String) -> Source? { sources.first { sameBytes($0.name, name) } }
        let source = name.map(find) ?? (hasTools ? find("tool_use") : nil) ?? find("default")
        guard let source else {
            let list = names.map { "'\($0)'" }.joined(separator: ", ")
            let what = name.map { "no chat template '\($0)'" } ?? "several chat templates and none that is the default"
            throw Problem("the model has \(what); there is \(list)", file: folder)
        }
        return try ChatTemplate(source.text, file: source.file)
    }

    private static func path(_ name: String, _ folder: String) -> String {
        folder.utf8.last == UInt8(ascii: "/") ? folder + name : folder + "/" + name
    }

    private static func load(_ name: String, _ folder: String) throws -> JSONNode? {
        let path = path(name, folder)
        return FileSystem.exists(path) ? try JSONNode.load(path: path) : nil
    }

    private static func files(_ folder: String) throws -> [Source] {
        var sources: [Source] = []
        let file = path("chat_template.jinja", folder)
        if FileSystem.exists(file) {
            sources = [Source(name: "default", text: try FileSystem.text(of: file), file: file)]
        }
        let others = path("additional_chat_templates", folder)
        guard FileSystem.isFolder(others) else { return sources }
        for name in try FileSystem.names(in: others) where name.utf8.count > 6 && name.hasSuffix(".jinja") {
            let file = path(name, others)
            let source = Source(name: String(name.dropLast(6)), text: try FileSystem.text(of: file), file: file)
            sources.removeAll { sameBytes($0.name, source.name) }
            sources.append(source)
        }
        return sources
    }

    /// The templates in a JSON file: a text, a list of objects with `name` and `template`, or an object of texts.
    private static func texts(_ node: JSONNode) throws -> [Source] {
        func source(_ name: String, _ text: JSONNode) throws -> Source {
            let place = (node.file ?? "") + " (\(text.path ?? "chat_template"))"
            return Source(name: name, text: try text.asString(), file: place)
        }
        switch node.content {
        case .array:
            return try node.asArray().map { try source(try $0.string("name"), try $0.required("template")) }
        case .object: return try node.asObject().map { try source($0.key, $0.value) }
        default: return [try source("default", node)]
        }
    }
}
