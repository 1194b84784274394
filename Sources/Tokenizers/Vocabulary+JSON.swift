import Diagnostics
import JSONText

extension Vocabulary {
    /// Reads an object of tokens and ids.
    static func read(_ reader: inout JSONReader, reservingBytes size: Int) throws -> Vocabulary {
        let start = reader.position
        var builder = Builder(reservingBytes: size)
        var ids: [Bool] = []
        ids.reserveCapacity(size / 16)
        try reader.readObject { (reader, token, position) in
            let id = try reader.readInteger()
            guard id >= 0, id < MergeTable.idLimit else {
                throw reader.problem(
                    "the id \(id) of \(quoted(token)) is out of range: ids go from 0 to \(MergeTable.idLimit - 1)",
                    at: position)
            }
            if id >= ids.count {
                if id == ids.count {
                    ids.append(true)
                } else {
                    ids += [Bool](repeating: false, count: id + 1 - ids.count)
                    ids[id] = true
                }
            } else {
                if ids[id] {
                    throw reader.problem("the id \(id) of \(quoted(token)) is another token's too", at: position)
                }
                ids[id] = true
            }
            builder.append(token, id: Int32(truncatingIfNeeded: id))
        }
        if ids.isEmpty { throw reader.problem("the vocabulary is empty", at: start) }
        return Vocabulary(builder)
    }
}

/// `bytes` as a JSON string, for messages.
func quoted(_ bytes: UnsafeRawBufferPointer) -> String { quoted(String(decoding: bytes, as: UTF8.self)) }

/// `text` as a JSON string, for messages.
func quoted(_ text: String) -> String { JSONValue.string(text).text(.compact) }
