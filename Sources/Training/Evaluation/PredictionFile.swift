public import Diagnostics
import Files
import JSONText
public import Metrics

/// Texts to be scored, read from JSON lines: objects with `prediction`, and `reference` or `references`. Where they are of
/// several models, `adapter` names the one that a line is from.
public enum PredictionFile {
    /// The texts of one model.
    public struct Row: Sendable {
        /// Whether the lines say which model they are from.
        public let isNamed: Bool
        /// nil for the base, and where the lines don't say.
        public let adapter: String?
        public var scoring: TextScoring
    }

    /// Scores lines from `bytes`, a row for each model in the order of their first lines; `name` stands for the file in
    /// messages.
    ///
    /// - Parameter scoring: What scores the texts, without any.
    /// - Throws: as `forEachText`.
    public static func score(
        _ bytes: UnsafeRawBufferPointer, name: String, by scoring: TextScoring
    ) throws(Problems) -> [Row] {
        var rows: [Row] = []
        var places: [ByteString?: Int] = [:]
        try forEachText(bytes, name: name) { isNamed, adapter, text in
            let key = adapter.map(ByteString.init)
            let place = places[key] ?? rows.count
            if place == rows.count {
                places[key] = place
                rows.append(Row(isNamed: isNamed, adapter: adapter, scoring: scoring))
            }
            rows[place].scoring.add(text)
        }
        return rows
    }

    /// Calls `body` with the text of every line: whether lines say which model they are from, and which it is.
    ///
    /// - Throws: `Problems` with file and line of every line that can't be used, at most 20 of them.
    public static func forEachText(
        _ bytes: UnsafeRawBufferPointer, name: String, _ body: (Bool, String?, ScoredText) -> Void
    ) throws(Problems) {
        var areNamed: Bool?
        var problems: [Problem] = []
        let start: Int
        do { start = try textStart(of: bytes, file: name) } catch { throw Problems([error]) }
        for line in TextLines(bytes, from: start) where problems.count < 20 {
            let content = bytes[line.range]
            if content.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }) { continue }
            do {
                let root = try JSONNode.parse(UnsafeRawBufferPointer(rebasing: content), file: name, line: line.number)
                let text = try text(root)
                let adapter = try root.optionalString("adapter")
                let isNamed = root.member("adapter") != nil
                if let areNamed, areNamed != isNamed {
                    let known = areNamed ? "doesn't name its 'adapter'" : "names an 'adapter'"
                    throw Problem(
                        "\(known), unlike the lines before: then it can't be told whose text this is", file: name,
                        position: TextPosition(line: line.number, column: 1))
                }
                areNamed = isNamed
                if problems.isEmpty { body(isNamed, adapter, text) }
            } catch let problem as Problem {
                problems.append(problem)
            } catch {
                problems.append(
                    Problem("\(error)", file: name, position: TextPosition(line: line.number, column: 1)))
            }
        }
        if problems.isEmpty, areNamed == nil { problems.append(Problem("holds no predictions", file: name)) }
        if !problems.isEmpty { throw Problems(problems) }
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
