import Diagnostics
import FoundationEssentials
import JSONText
import TestSupport
import Tokenizers

/// The number and the FNV-1a hash of ids, as scripts/fixtures/tokenizer.py writes them.
struct Digest: Equatable {
    var count: Int
    var hash: String

    init(_ ids: [Int32]) {
        count = ids.count
        hash = ids.withUnsafeBytes { fnv($0) }
    }

    init(_ node: JSONNode) throws {
        count = try node.integer("count")
        hash = try node.string("hash")
    }
}

func fnv(_ bytes: some Sequence<UInt8>) -> String {
    var value: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}

func tokenizerFixture(_ name: String) throws -> JSONNode {
    try JSONNode.load(path: fixture("tokenizers/\(name)").path())
}

/// GPT-2's tokenizer, from its merges in the repository and the vocabulary that they make.
let gpt2 = Result {
    let merges = try gpt2Merges()
    return try withFolder(
        ["merges.txt": merges, "vocab.json": gpt2Vocabulary(merges).text(.compact)]
    ) { try loadTokenizer(folder: $0) }
}

/// GPT-2's merges.txt, from the numbers of the two tokens of each merge.
func gpt2Merges() throws -> String {
    let numbers = try Data(contentsOf: fixture("tokenizers/gpt2/merges.u16"))
    var tokens = byteTokens
    var text = "#version: 0.2\n"
    for place in stride(from: 0, to: numbers.count, by: 4) {
        let (left, right) = (
            tokens[Int(numbers[place]) | Int(numbers[place + 1]) << 8],
            tokens[Int(numbers[place + 2]) | Int(numbers[place + 3]) << 8]
        )
        text += "\(left) \(right)\n"
        tokens.append(left + right)
    }
    return text
}

/// The tokens of single bytes, printable ones in front.
private let byteTokens: [String] = {
    let printable: [UInt32] = Array(33...126) + Array(161...172) + Array(174...255)
    let bytes = printable + (0..<UInt32(256 - printable.count)).map { 256 + $0 }
    return bytes.compactMap { UnicodeScalar($0).map { String(Character($0)) } }
}()

/// What GPT-2's `vocab.json` holds: the bytes, printable ones in front, a token for each merge, and the end of text.
func gpt2Vocabulary(_ merges: String) -> JSONValue {
    let lines = merges.split(separator: "\n").dropFirst()
    var tokens = byteTokens
    tokens += lines.map { $0.split(separator: " ").joined() }
    tokens.append("<|endoftext|>")
    return .object(tokens.enumerated().map { .init($0.element, .integer($0.offset)) })
}

/// The digests of a text made of each code point, by chunks, beside the expected ones.
func digestsOfCodePoints(
    _ node: JSONNode, _ tokenizer: any Tokenizer, _ text: (Character) -> String
) throws -> (actual: [Digest], expected: [Digest]) {
    let size = try node.integer("size")
    let expected = try node.array("chunks").map { try Digest($0) }
    let actual = expected.indices.map { chunk in
        let scalars = (chunk * size..<(chunk + 1) * size).compactMap { UnicodeScalar(UInt32($0)) }
        return Digest(tokenizer.encode(scalars.map { text(Character($0)) }.joined()))
    }
    return (actual, expected)
}

/// A folder that holds `files` while `body` runs.
func withFolder<Value>(_ files: [String: String], _ body: (String) throws -> Value) throws -> Value {
    let folder = FileManager.default.temporaryDirectory.appending(path: "tokenizers-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, text) in files { try Data(text.utf8).write(to: folder.appending(path: name)) }
    return try body(folder.path())
}

/// What loading a tokenizer from a folder with `files` throws, the folder's path replaced by `FOLDER`.
func loadingError(_ files: [String: String]) throws -> String {
    try withFolder(files) { folder in
        do {
            _ = try loadTokenizer(folder: folder)
            return "no error"
        } catch let problem as any Error & CustomStringConvertible {
            return problem.description.replacing(folder, with: "FOLDER").replacing("FOLDER/FOLDER", with: "FOLDER")
        }
    }
}
