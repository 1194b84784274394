public import Diagnostics
import JSONText

/// Texts to be scored, read from JSON lines: objects with `prediction`, and `reference` or `references`.
public enum PredictionFile {
    /// Reads lines from `bytes`; `name` stands for the file in messages.
    ///
    /// - Throws: `Problems` with file and line of every line that can't be used, at most 20 of them.
    public static func parse(_ bytes: UnsafeRawBufferPointer, name: String) throws(Problems) -> [ScoredText] {
        var texts: [ScoredText] = []
        var problems: [Problem] = []
        var line = 0
        var rest = bytes[...]
        while !rest.isEmpty, problems.count < 20 {
            line += 1
            let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
            let content = rest[rest.startIndex..<end]
            rest = rest[min(end + 1, rest.endIndex)...]
            if content.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\t") }) {
                continue
            }
            do {
                texts.append(try text(UnsafeRawBufferPointer(rebasing: content), name, line))
            } catch let problem as Problem {
                problems.append(problem)
            } catch {
                problems.append(
                    Problem("\(error)", file: name, position: TextPosition(line: line, column: 1)))
            }
        }
        if problems.isEmpty, texts.isEmpty { problems.append(Problem("holds no predictions", file: name)) }
        if !problems.isEmpty { throw Problems(problems) }
        return texts
    }

    private static func text(_ bytes: UnsafeRawBufferPointer, _ name: String, _ line: Int) throws -> ScoredText {
        let root = try JSONNode.parse(bytes, file: name, line: line)
        let prediction = try root.string("prediction")
        if let node = try root.optional("references") {
            if try root.optional("reference") != nil {
                throw node.problem("stands beside 'reference'; give one of the two")
            }
            let references = try node.asArray().map { try $0.asString() }
            if references.isEmpty { throw node.problem("is empty; give at least one reference") }
            return ScoredText(prediction: prediction, references: references)
        }
        return ScoredText(prediction: prediction, references: [try root.string("reference")])
    }
}
