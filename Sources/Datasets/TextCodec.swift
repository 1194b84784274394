public import Tokenizers

/// Makes ids of texts and texts of ids as one model wants them; nothing else does either.
///
/// A text of its own has `prefix` in front. One that goes on from another, as a completion does from its prompt, has
/// nothing in front, no space either that a tokenizer would put there, so that the ids of both decode to both.
public struct TextCodec: Sendable {
    public let tokenizer: any Tokenizer
    /// What stands in front of every text of its own; GPT-2 has nothing there.
    public var prefix: [Int32]
    /// What the tokenizer's files put behind a text that is to be labelled.
    public var suffix: [Int32]
    public let end: EndOfText
    /// What is put behind a text or completion that is learned: a token, or nothing where none is known.
    public var ending: [Int32] { end.appended.map { [$0] } ?? [] }
    /// What a decoder begins with once an encoder has read what is given; nil where both are one text.
    public var answerOpening: [Int32]?
    /// What `[P3]` in a prompt means.
    public var virtualTokens = VirtualTokenPlaces.none

    public init(_ tokenizer: any Tokenizer, end: EndOfText) {
        self.tokenizer = tokenizer
        self.end = end
        prefix = tokenizer.prefixIDs
        suffix = tokenizer.suffixIDs
    }

    /// The ids of `text`, nothing in front or behind.
    ///
    /// - Parameter isContinuation: Whether it goes on from another text.
    public func ids(of text: String, isContinuation: Bool) -> [Int32] {
        tokenizer.encode(text, isContinuation: isContinuation)
    }

    /// The ids of a text of its own with what stands in front of one.
    public func opening(_ text: String) -> [Int32] { opened(ids(of: text, isContinuation: false)) }

    /// The ids of a text of its own with what stands in front of one and behind.
    public func whole(_ text: String) -> [Int32] { suffix.isEmpty ? opening(text) : opening(text) + suffix }

    /// The ids of what is given to a model, virtual tokens in their places, each part of the text by itself.
    public func ids(of text: PlacedText, isContinuation: Bool) -> [Int32] {
        switch virtualTokens {
        case .none: ids(of: text.source, isContinuation: isContinuation)
        case .empty: ids(of: text.parts, isContinuation: isContinuation, placing: false)
        case .filled: ids(of: text.parts, isContinuation: isContinuation, placing: true)
        }
    }

    private func ids(of parts: [PlacedText.Part], isContinuation: Bool, placing: Bool) -> [Int32] {
        var tokens: [Int32] = []
        var (next, isContinuation): (Int32, Bool) = (0, isContinuation)
        for part in parts {
            switch part {
            case .text(let text):
                tokens += ids(of: text, isContinuation: isContinuation)
                isContinuation = true
            case .virtualTokens(let count) where placing:
                tokens += (next..<next + Int32(count)).map { -1 - $0 }
                next += Int32(count)
            case .virtualTokens: continue
            }
        }
        return tokens
    }

    /// The same with what stands in front of a text of its own.
    public func opening(_ text: PlacedText) -> [Int32] { opened(ids(of: text, isContinuation: false)) }

    /// The ids of what is given, as a text of its own or behind others, with what an encoder finds behind it.
    public func given(_ text: PlacedText, isContinuation: Bool) -> [Int32] {
        let ids = isContinuation ? ids(of: text, isContinuation: true) : opening(text)
        return answerOpening == nil ? ids : ids + suffix
    }

    private func opened(_ ids: [Int32]) -> [Int32] { prefix.isEmpty ? ids : prefix + ids }

    /// The text that `tokens` stand for, special ones left out.
    ///
    /// - Parameter prompt: What stands before them.
    public func text(of tokens: [Int32], after prompt: [Int32]) -> String {
        String(
            decoding: tokenizer.decode(tokens, skippingSpecialTokens: true, isContinuation: hasText(prompt)),
            as: UTF8.self)
    }

    /// Gives the same text while its tokens come.
    public func stream(after prompt: [Int32]) -> StreamedTokens {
        StreamedTokens(tokenizer, isContinuation: hasText(prompt))
    }

    /// Whether an answer goes on from a text.
    private func hasText(_ tokens: [Int32]) -> Bool {
        answerOpening == nil
            && !tokenizer.decode(tokens, skippingSpecialTokens: true, isContinuation: true).isEmpty
    }

    /// How a token is spelt, for people.
    public func spelling(of token: Int32) -> String { tokenizer.decodedString([token], skippingSpecialTokens: false) }

    /// What is wrong with `ids` where the model has no row for one of them; nil otherwise.
    public func complaint(about ids: some Sequence<Int32>) -> String? { tokenizer.complaint(about: ids) }
}
