import Diagnostics
import Files
import JSONText

/// Reads vocab.json and merges.txt, the files of GPT-2's original tokenizer.
enum VocabularyFiles {
    private static let classes: Set<String> = ["GPT2Tokenizer", "GPT2TokenizerFast"]

    /// What the two files hold. Throws a `Problem`, also where tokenizer_config.json names another kind of tokenizer.
    static func read(folder: String, settings: TokenizerSettings) throws -> SubwordTokenizer.Content {
        if let node = try settings.tokenizerClass, try !classes.contains(node.asString()) {
            throw node.problem(
                "\(try quoted(node.asString())) isn't supported without tokenizer.json: only GPT2Tokenizer is")
        }
        if let node = try settings.beginningOfText {
            throw node.problem("a token in front of every text isn't supported: only false is")
        }
        let vocabulary = try readVocabulary(path: pathOfFile("vocab.json", in: folder))
        let merges = try readMerges(path: pathOfFile("merges.txt", in: folder), vocabulary)
        var content = SubwordTokenizer.Content(vocabulary: vocabulary, merges: merges)
        if vocabulary.id(of: TokenizerSettings.endOfText) != nil { content.addSpecial(TokenizerSettings.endOfText) }
        return content
    }

    private static func readVocabulary(path: String) throws -> Vocabulary {
        try FileBytes(path: path).withBytes { bytes in
            var reader = JSONReader(bytes, file: path)
            let vocabulary = try Vocabulary.read(&reader, reservingBytes: bytes.count)
            try reader.finish()
            return vocabulary
        }
    }

    /// A merge a line, two tokens with a space between them; `#version…` in front and empty lines are skipped.
    private static func readMerges(path: String, _ vocabulary: Vocabulary) throws -> MergeTable {
        try FileBytes(path: path).withBytes { bytes in
            var list = MergeList(file: path)
            for line in TextLines(bytes, from: try textStart(of: bytes, file: path)) {
                let text = UnsafeRawBufferPointer(rebasing: bytes[line.range])
                let isComment = line.number == 1 && text.starts(with: "#version".utf8)
                if !text.isEmpty, !isComment { try list.append(text, at: TextPosition(line: line.number, column: 1)) }
            }
            return try list.table(vocabulary)
        }
    }
}
