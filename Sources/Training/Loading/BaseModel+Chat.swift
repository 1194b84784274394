import ChatTemplates
public import Datasets
import Diagnostics
import Files
import JSONText
import Models
import Tokenizers

extension BaseModel {
    /// How conversations are written for the model.
    ///
    /// - Parameters:
    ///   - source: A file with a template, or the name of a known one; nil for the model's own.
    ///   - trained: The folder of an adapter, whose own template goes before the others.
    /// - Throws: `Problem` where there is none, where an encoder reads what is given, and where it isn't well formed.
    public func chatFormat(_ source: String?, savedIn trained: String?) throws -> ChatFormat {
        if model.hasEncoder {
            throw Problem(
                "the model has an encoder and a decoder, so that it reads no conversation as one text: give it prompts",
                file: folder)
        }
        let codec = try codec()
        let special = codec.tokenizer.addedTokens.filter(\.isSpecial).map(\.content)
        let own = try ChatTemplateFolder(folder)
        return ChatFormat(
            try chatTemplate(source, trained, own),
            toolTemplate: source == nil && own.names.contains("tool_use") ? try own.template(named: "tool_use") : nil,
            variables: own.specialTokens, specialTexts: special)
    }

    private func chatTemplate(
        _ source: String?, _ trained: String?, _ own: ChatTemplateFolder
    ) throws -> ChatTemplate {
        if let trained {
            let path = FileSystem.join(trained, Self.chatTemplateName)
            if FileSystem.isFile(path) { return try ChatTemplate(FileSystem.text(of: path), file: path) }
        }
        let known = ChatTemplate.builtInNames.joined(separator: ", ")
        guard let source else {
            if own.names.isEmpty {
                throw Problem(
                    "the model has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json): name a "
                        + "file or one of \(known) as data.chat_template", file: folder, exitStatus: .missingInput)
            }
            return try own.template()
        }
        if own.names.count > 1, own.names.contains(where: { sameBytes($0, source) }) {
            return try own.template(named: source)
        }
        if let template = try ChatTemplate(builtIn: source) { return template }
        guard FileSystem.isFile(source) else {
            throw Problem(
                "'\(source)' is no file, and none of the known templates (\(known))", key: "data.chat_template",
                exitStatus: .missingInput)
        }
        return try ChatTemplate(FileSystem.text(of: source), file: source)
    }

    /// Names the token that ends a turn, where the model was trained on conversations, among those that end a text in its
    /// `generation_config.json`: other programs know of no other place.
    ///
    /// - Parameter adapters: The folders of what was merged into the model.
    func nameTurnEnd(of adapters: [String]) throws {
        let trained = adapters.contains { FileSystem.isFile(FileSystem.join($0, Self.chatTemplateName)) }
        guard trained, let chat = try? chatFormat(nil, savedIn: folder), chat.specialTexts.contains(chat.turnEnd),
            let id = tokenizer?.id(of: chat.turnEnd), !endOfText.stops.contains(id)
        else { return }
        let path = FileSystem.join(folder, "generation_config.json")
        var members: [JSONValue.Member] = []
        if FileSystem.isFile(path), case .object(let own) = try JSONNode.load(path: path).plain {
            members = own.filter { $0.key != "eos_token_id" }
        }
        let ids = [id] + endOfText.stops.sorted()
        members.append(.init("eos_token_id", .array(ids.map { .integer(Int($0)) })))
        try AtomicFile.write(JSONValue.object(members).text(.indented) + "\n", to: path)
    }

    /// The name under which a template lies beside what was trained by it.
    public static let chatTemplateName = "chat_template.jinja"
}
