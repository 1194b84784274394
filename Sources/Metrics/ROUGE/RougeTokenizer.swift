/// A text as ROUGE sees it: sentences (lines) of token ids.
struct RougeText {
    var sentences: [[Int32]]
    /// The tokens of the whole text; a line break always separates tokens.
    let tokens: [Int32]

    init(sentences: [[Int32]]) {
        self.sentences = sentences.filter { !$0.isEmpty }
        tokens = self.sentences.count == 1 ? self.sentences[0] : Array(self.sentences.joined())
    }
}

/// Cuts texts into tokens as rouge_score 0.1.2 does, numbering equal tokens equally.
///
/// A token is a run of a-z and 0-9 in the lowercased text. Of all characters outside ASCII only K (the Kelvin sign,
/// U+212A) and İ (U+0130) have such letters in their lowercase forms: k, and i with a combining dot, which separates.
struct RougeTokenizer {
    let useStemmer: Bool
    private var ids: [String: Int32] = [:]

    init(useStemmer: Bool) { self.useStemmer = useStemmer }

    /// How many different tokens were seen; ids are below it.
    var tokenCount: Int { ids.count }

    mutating func read(_ text: String) -> RougeText {
        var sentences: [[Int32]] = []
        Self.forEachToken(of: text, newSentence: { sentences.append([]) }) { token in
            sentences[sentences.count - 1].append(id(of: token))
        }
        return RougeText(sentences: sentences)
    }

    private mutating func id(of token: String) -> Int32 {
        let token = useStemmer && token.utf8.count > 3 ? PorterStemmer.stem(token) : token
        if let known = ids[token] { return known }
        let id = Int32(ids.count)
        ids[token] = id
        return id
    }

    private static func forEachToken(of text: String, newSentence: () -> Void, _ body: (String) -> Void) {
        var token: [UInt8] = []
        func finish() {
            guard !token.isEmpty else { return }
            body(String(decoding: token, as: UTF8.self))
            token.removeAll(keepingCapacity: true)
        }
        newSentence()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "a"..."z", "0"..."9": token.append(UInt8(scalar.value))
            case "A"..."Z": token.append(UInt8(scalar.value) | 0x20)
            case "\u{212A}": token.append(UInt8(ascii: "k"))
            case "\u{130}":
                token.append(UInt8(ascii: "i"))
                finish()
            case "\n":
                finish()
                newSentence()
            default: finish()
            }
        }
        finish()
    }
}
