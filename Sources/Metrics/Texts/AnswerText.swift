import ChatTemplates

/// An answer as SQuAD compares it (Rajpurkar et al. 2016): in lower case, without ASCII punctuation and English articles,
/// white space of any kind as one blank.
package struct AnswerText {
    /// What is left, word by word, as UTF-8.
    let words: [[UInt8]]

    package var text: String { words.map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ") }

    package init(_ text: String) {
        var words: [[UInt8]] = []
        var word: [UInt8] = []
        // Letters and digits in a row: an article is one where nothing else is in its row.
        var row: [UInt8] = []
        func endWord() {
            if !word.isEmpty { words.append(word) }
            word.removeAll(keepingCapacity: true)
        }
        func endRow() {
            if Self.isArticle(row) { endWord() } else { word += row }
            row.removeAll(keepingCapacity: true)
        }
        for scalar in (text.utf8.allSatisfy { $0 < 0x80 } ? text : text.pythonLowercased).unicodeScalars {
            switch scalar {
            case "a"..."z", "0"..."9": row.append(UInt8(scalar.value))
            case "A"..."Z": row.append(UInt8(scalar.value) | 0x20)
            case "!"..."/", ":"..."@", "["..."`", "{"..."~": break
            case _ where scalar.value >= 0x80 && (scalar.isPythonLetter || scalar.properties.numericType != nil):
                row += Array(String(scalar).utf8)
            case _ where scalar.isPythonSpace:
                endRow()
                endWord()
            default:
                endRow()
                word += Array(String(scalar).utf8)
            }
        }
        endRow()
        endWord()
        self.words = words
    }

    private static func isArticle(_ row: [UInt8]) -> Bool {
        switch row.count {
        case 1: row[0] == UInt8(ascii: "a")
        case 2: row[0] == UInt8(ascii: "a") && row[1] == UInt8(ascii: "n")
        case 3: row[0] == UInt8(ascii: "t") && row[1] == UInt8(ascii: "h") && row[2] == UInt8(ascii: "e")
        default: false
        }
    }
}
