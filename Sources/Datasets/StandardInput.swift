import Diagnostics
import Files

/// Records that come in by stdin, kept so that they can be read more than once.
package enum StandardInput {
    /// What stands for it where files are named.
    package static let path = "-"

    private static let content = Result<FileBytes, any Error> { try FileBytes(standardInputAs: "stdin") }

    static func bytes() throws -> FileBytes {
        let content = try content.get()
        if content.bytes.allSatisfy({ " \t\r\n".utf8.contains($0) }) {
            throw Problem(
                "holds no records: data.train: \"-\" reads them from there, and reads the same ones anew when a run is "
                    + "resumed", file: content.path)
        }
        return content
    }

    /// JSON Lines or an array of objects, as the first character tells; plain lines otherwise.
    static func format(of content: FileBytes) -> RecordFormat {
        switch content.bytes.first(where: { !" \t\r\n\u{FEFF}".utf8.contains($0) }) {
        case UInt8(ascii: "{"): .jsonLines
        case UInt8(ascii: "["): .json
        default: .text
        }
    }
}
