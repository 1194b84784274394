import Checkpoints
import Datasets
import JSONText
import Tokenizers

/// The tokens of a text of its own, with what stands in front of it and behind.
struct TokenListing {
    private let text: String
    private let tokens: [(id: Int32, bytes: [UInt8])]

    /// - Parameter path: A model's folder, or its name in the local Hub cache.
    init(_ text: String, path: String) throws {
        let tokenizer = try loadTokenizer(folder: HubCache.resolve(path))
        self.text = text
        tokens = (tokenizer.prefixIDs + tokenizer.encode(text) + tokenizer.suffixIDs).map { id in
            (id, tokenizer.decode([id], skippingSpecialTokens: false, isContinuation: true))
        }
    }

    /// A line for each: its id, and its text or the bytes of which a character is made.
    var lines: String {
        let width = tokens.map { String($0.id).utf8.count }.max() ?? 0
        return tokens.map { token in
            let id = String(token.id)
            return String(repeating: " ", count: width - id.utf8.count) + id + "  " + Self.spelling(token.bytes)
        }.joined(separator: "\n")
    }

    private static func spelling(_ bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return JSONValue.string(text).text(.compact) }
        return bytes.map { "<0x" + ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) + ">" }.joined()
    }

    var json: JSONValue {
        let list = tokens.map { token in
            JSONValue.object([
                .init("id", .integer(Int(token.id))),
                .init("piece", .string(String(decoding: token.bytes, as: UTF8.self))),
                .init("bytes", .array(token.bytes.map { .integer(Int($0)) })),
            ])
        }
        return .object([.init("text", .string(text)), .init("tokens", .array(list))])
    }
}
