public import ChatTemplates
public import Datasets
import Diagnostics
import Layers
import Models
public import Tokenizers

/// Makes what a model goes on from of prompts, behind the records that it is shown, and its answers of what comes out.
public struct PromptCodec {
    private let base: BaseModel
    private let codec: TextCodec
    private let shots: FewShot?
    private let chat: ChatFormat?
    /// What ends the assistant's turn, where that is no token of its own.
    private let turnEnd: String
    /// The tokens of which each ends an answer.
    public let stops: Set<Int32>
    /// What stands in front of every prompt.
    private let context: [Int32]
    /// Texts of which each ends an answer, and isn't part of it.
    public var stopTexts: [String] = []

    /// For the model with what is installed in it now.
    ///
    /// - Parameters:
    ///   - hasPlaces: Whether the prompts' places are some, rather than text; they stay empty where the model has no virtual
    ///     tokens for them.
    ///   - chat: How conversations are written, where there are some.
    /// - Throws: `Problem` where the model has no tokenizer.
    public init(_ base: BaseModel, shots: FewShot?, hasPlaces: Bool, chat: ChatFormat? = nil) throws {
        self.base = base
        self.chat = chat
        let codec = try base.codec(hasPlaces: hasPlaces)
        self.codec = codec
        self.shots = shots
        context = shots.map { codec.opening($0.text) } ?? []
        let turnEnd = chat?.turnEnd ?? ""
        let endID = chat?.specialTexts.contains(turnEnd) == true ? codec.tokenizer.id(of: turnEnd) : nil
        self.turnEnd = endID == nil ? turnEnd : ""
        stops = base.endOfText.stops.union([endID].compactMap { $0 })
    }

    /// The ids of a conversation up to where the assistant's next turn begins, and its text.
    ///
    /// - Throws: `Problem` with the template's place where it can't be written, or the model has no row for a token.
    public func ids(of conversation: Conversation) throws -> (text: String, ids: [Int32]) {
        guard let chat else { defect("PromptCodec: a conversation without a chat template") }
        let text = try chat.prompt(conversation.messages, tools: conversation.tools)
        let ids = codec.ids(of: text, isContinuation: false)
        if let complaint = codec.complaint(about: ids) { throw Problem(complaint) }
        if ids.isEmpty { throw Problem("the chat template makes an empty text of the conversation") }
        return (text, ids)
    }

    /// The ids of a prompt behind those of the shots; one that is empty begins with the end of another text.
    ///
    /// - Throws: `Problem` without a place where there are none, where the model has no row for one, and where the
    ///   virtual tokens don't find their places.
    public func ids(of prompt: PlacedText) throws -> [Int32] {
        if case .filled(let count) = codec.virtualTokens, prompt.virtualTokenCount != count {
            throw Problem(
                "the prompt has \(PlacedText.places(for: prompt.virtualTokenCount)), but the adapter has \(count): "
                    + "write [P3] for three of them where the template of the training had them, or give --as-trained"
            )
        }
        let own = codec.given(prompt, isContinuation: shots != nil)
        let ids = context + (own.isEmpty ? codec.ending : own)
        if let complaint = codec.complaint(about: ids) { throw Problem(complaint) }
        if ids.isEmpty { throw Problem("the prompt is empty, and the model has no token to begin a text with") }
        return ids
    }

    /// What is wrong with a prompt of `ids` that is longer than the model takes; nil for others.
    public func complaint(aboutLengthOf ids: [Int32]) -> String? {
        let limit = base.model.maximumLength
        if ids.count <= limit { return nil }
        let shown = shots.map { ", those of \($0.count) shots among them" } ?? ""
        return
            "the prompt has \(ids.count) tokens\(shown), but the model takes at most \(limit) (\(base.model.promptShape.positionKey))"
    }

    /// The answer that a model gave to a prompt.
    public func answer(_ generation: Generation, to prompt: [Int32]) -> String {
        var text = codec.text(of: generation.tokens, after: prompt)
        if let end = stopTexts.compactMap({ text.firstRange(of: $0)?.lowerBound }).min() {
            text = String(text[..<end])
        }
        if !turnEnd.isEmpty, let end = text.firstRange(of: turnEnd) { return String(text[..<end.lowerBound]) }
        return shots == nil ? text : FewShot.answer(text)
    }

    /// Whether one of `stopTexts` is in the text of an answer's tokens.
    public func isStopped(_ tokens: [Int32], after prompt: [Int32]) -> Bool {
        if stopTexts.isEmpty { return false }
        let text = codec.text(of: tokens, after: prompt)
        return stopTexts.contains { text.firstRange(of: $0) != nil }
    }

    /// The ids of a text within an answer.
    public func ids(ofPart text: String) -> [Int32] { codec.ids(of: text, isContinuation: true) }

    /// Gives the text of an answer while its tokens come.
    public func stream(after prompt: [Int32]) -> StreamedTokens { codec.stream(after: prompt) }
}
