extension SubwordTokenizer {
    /// What the files of a tokenizer say.
    struct Content {
        var vocabulary: Vocabulary
        var merges: MergeTable
        var addedTokens: [AddedToken] = []
        /// Puts a space in front of text that doesn't start with one.
        var addsPrefixSpace = false
        /// Splits into words by GPT-2's pattern; otherwise a text is one word.
        var splitsWords = true
        /// What happens before: with steps, the two above come behind them.
        var pipeline = TextPipeline()
        /// What files say of `pipeline` and the rest that isn't GPT-2's, for the hash; empty where that is nothing.
        var signature = ""
        /// Whether a word that is a token is that one, whatever the merges make.
        var ignoresMerges = false
        var model = Model.bytes
        var decoding = DecodingRules()
        var prefixIDs: [Int32] = []
        var suffixIDs: [Int32] = []
        /// The tokens that a file of the model's own has for both ends of a text, whatever the settings call them.
        var defaultBeginning: Int32?
        var defaultEnd: Int32?
        /// Whether what is decoded never begins with spaces.
        var hidesLeadingSpaces = false
        /// The tokens that end a text, the first of which is put behind one.
        var endOfTexts: [String] = []
        /// Special tokens that are not found in texts.
        var controlIDs: [Int32] = []
        /// The token of what is unknown, where a text of its own stands for it.
        var unknown: (id: Int32, surface: String)?
        /// Whether special tokens in a text are text like any other.
        var splitsSpecialTokens = false
        /// Whether what stands between added tokens is as a text of its own, at both ends.
        var startsAnew = false
    }

    struct CharacterRules {
        var fallsBackToBytes = false
        var unknownToken: String?
        var fusesUnknown = false
    }

    /// How a word becomes tokens.
    enum Model: Sendable {
        /// By merges, the tokens spelled in GPT-2's alphabet of bytes.
        case bytes
        /// By merges of characters.
        case characters(CharacterRules)
        case pieces(PieceMerger)
        case unigram(UnigramModel)

        var isBytes: Bool { if case .bytes = self { true } else { false } }
    }
}

extension SubwordTokenizer.Content {
    /// Takes over what surrounds the model.
    mutating func take(_ words: TokenizerJSON.WordRules) {
        addsPrefixSpace = words.addsPrefixSpace
        splitsWords = words.splitsWords
        pipeline = words.pipeline
        decoding = words.decoding
        prefixIDs = words.prefixIDs
        suffixIDs = words.suffixIDs
        signature = words.signature
    }
}
