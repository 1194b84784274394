public import Diagnostics
import Files
import JSONText

/// Texts to be scored, read from JSON lines: objects with `prediction`, and `reference` or `references`. Where they are of
/// several models, `adapter` names the one that a line is from.
public enum PredictionFile {
    /// The texts of one model.
    public struct Row: Sendable, Hashable {
        /// Whether the lines say which model they are from.
        public let isNamed: Bool
        /// nil for the base, and where the lines don't say.
        public let adapter: String?
        public var texts: [ScoredText]

        public init(isNamed: Bool, adapter: String?, texts: [ScoredText]) {
            self.isNamed = isNamed
            self.adapter = adapter
            self.texts = texts
        }
    }

    /// Reads lines from `bytes`, a row for each model in the order of their first lines; `name` stands for the file in
    /// messages.
    ///
    /// - Throws: `Problems` with file and line of every line that can't be used, at most 20 of them.
    public static func parse(_ bytes: UnsafeRawBufferPointer, name: String) throws(Problems) -> [Row] {
        var rows: [Row] = []
        var places: [ByteString?: Int] = [:]
        var problems: [Problem] = []
        let start: Int
        do { start = try textStart(of: bytes, file: name) } catch { throw Problems([error]) }
        for line in TextLines(bytes, from: start) where problems.count < 20 {
            let content = bytes[line.range]
            if content.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }) { continue }
            do {
                let found = try read(UnsafeRawBufferPointer(rebasing: content), name, line.number)
                if let first = rows.first, first.isNamed != found.isNamed {
                    let known = first.isNamed ? "doesn't name its 'adapter'" : "names an 'adapter'"
                    throw Problem(
                        "\(known), unlike the lines before: then it can't be told whose text this is", file: name,
                        position: TextPosition(line: line.number, column: 1))
                }
                if let place = places[found.adapter.map(ByteString.init)] {
                    rows[place].texts += found.texts
                } else {
                    places[found.adapter.map(ByteString.init)] = rows.count
                    rows.append(found)
                }
            } catch let problem as Problem {
                problems.append(problem)
            } catch {
                problems.append(
                    Problem("\(error)", file: name, position: TextPosition(line: line.number, column: 1)))
            }
        }
        if problems.isEmpty, rows.isEmpty { problems.append(Problem("holds no predictions", file: name)) }
        if !problems.isEmpty { throw Problems(problems) }
        return rows
    }

    private static func read(_ bytes: UnsafeRawBufferPointer, _ name: String, _ line: Int) throws -> Row {
        let root = try JSONNode.parse(bytes, file: name, line: line)
        let text = try text(root)
        return Row(
            isNamed: root.member("adapter") != nil, adapter: try root.optionalString("adapter"), texts: [text])
    }

    private static func text(_ root: JSONNode) throws -> ScoredText {
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
