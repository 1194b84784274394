public import Diagnostics
import Files

/// The kinds of JSON value, as told by their first byte.
public enum JSONKind: Sendable { case null, boolean, number, string, array, object }

/// A pull parser for one JSON text, strict RFC 8259, over UTF-8 bytes that must outlive it.
///
/// Errors are `Problem`s with file, line and column. Repeated keys, invalid UTF-8, lone surrogates, numbers out of
/// range, and nesting beyond `depthLimit` are errors, also in what is skipped. Reading a value never builds nodes, so
/// that a large vocabulary is read at the speed of its bytes:
///
///     try reader.readObject { reader, key in
///         if key.matches("vocab") { try reader.readObject { reader, token in … try reader.readInteger() } }
///     }
///     try reader.finish()
public struct JSONReader {
    /// How deep arrays and objects may nest.
    public static let depthLimit = 512

    /// The path that problems name.
    public let file: String?
    let base: UnsafePointer<UInt8>
    let count: Int
    var offset = 0
    var line: Int
    /// The offset at which the current line starts: line breaks stand only between tokens.
    var lineStart = 0
    var depth = 0
    var unescaped = UnescapedStrings()

    private nonisolated(unsafe) static let nothing = UnsafePointer(UnsafeMutablePointer<UInt8>.allocate(capacity: 1))

    /// Starts at the first of `bytes`, which is on line `line` of `file`; a byte order mark is read over.
    public init(_ bytes: UnsafeRawBufferPointer, file: String? = nil, line: Int = 1) {
        self.file = file
        self.line = line
        base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? Self.nothing
        count = bytes.count
        offset = lengthOfMark(bytes)
        lineStart = offset
    }

    /// Where the reader stands.
    public var position: TextPosition { TextPosition(line: line, column: offset - lineStart + 1) }

    /// How many bytes lie before the place where the reader stands.
    public var byteOffset: Int { offset }

    /// A problem at `position`, or where the reader stands.
    public func problem(_ message: String, at position: TextPosition? = nil, key: String? = nil) -> Problem {
        Problem(message, file: file, position: position ?? self.position, key: key)
    }

    /// The kind of the next value; the reader then stands on its first byte.
    public mutating func peek() throws -> JSONKind {
        skipSpace()
        guard offset < count else { throw problem("expected a value, found the end of the text") }
        switch base[offset] {
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "-"):
            if starts(with: "-Infinity") { throw notANumber("-Infinity") }
            return .number
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .boolean
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "N") where starts(with: "NaN"): throw notANumber("NaN")
        case UInt8(ascii: "I") where starts(with: "Infinity"): throw notANumber("Infinity")
        default: throw encodingProblem ?? problem("expected a value, found \(found())")
        }
    }

    /// Reads `null`.
    public mutating func readNull() throws {
        try expect(.null, "null")
        try readLiteral("null")
    }

    /// Reads `true` or `false`.
    public mutating func readBoolean() throws -> Bool {
        try expect(.boolean, "true or false")
        if base[offset] == UInt8(ascii: "t") {
            try readLiteral("true")
            return true
        }
        try readLiteral("false")
        return false
    }

    /// Reads a string.
    public mutating func readString() throws -> String { String(decoding: try readStringBytes(), as: UTF8.self) }

    /// Reads a string as its UTF-8 bytes, escapes resolved; they live as long as the text and every copy of the reader.
    public mutating func readStringBytes() throws -> UnsafeRawBufferPointer {
        try expect(.string, "a string")
        return try scanString()
    }

    /// Reads an array, calling `element` in front of each of its values; a value that it doesn't read is skipped.
    public mutating func readArray(_ element: (inout JSONReader) throws -> Void) throws {
        try expect(.array, "an array")
        try enter()
        if next(is: UInt8(ascii: "]")) { return leave() }
        while true {
            skipSpace()
            let start = offset
            try element(&self)
            if offset == start { try skipValue() }
            skipSpace()
            guard offset < count else { throw problem("the text ends inside an array") }
            let byte = base[offset]
            if byte == UInt8(ascii: ",") {
                offset += 1
                if next(is: UInt8(ascii: "]")) {
                    throw problem("expected a value after ',', found ']': remove the comma")
                }
            } else if byte == UInt8(ascii: "]") {
                return leave()
            } else {
                throw problem("expected ',' or ']' after an array's value, found \(found())")
            }
        }
    }

    /// Reads an object, calling `member` with each key's bytes in front of its value; a value that it doesn't read is
    /// skipped. The key lives as long as the text and every copy of the reader.
    public mutating func readObject(_ member: (inout JSONReader, UnsafeRawBufferPointer) throws -> Void) throws {
        try readObject { (reader, key, _) in try member(&reader, key) }
    }

    /// Reads an object, calling `member` with each key's bytes and position in front of its value.
    public mutating func readObject(
        _ member: (inout JSONReader, UnsafeRawBufferPointer, TextPosition) throws -> Void
    ) throws {
        try expect(.object, "an object")
        try enter()
        if next(is: UInt8(ascii: "}")) { return leave() }
        var seen = SeenKeys()
        while true {
            skipSpace()
            let keyPosition = position
            guard offset < count else { throw problem("the text ends inside an object") }
            guard base[offset] == UInt8(ascii: "\"") else { throw keyExpected() }
            let key = try scanString()
            guard seen.insert(key) else {
                throw problem("the key \(quoted(key)) appears twice in one object", at: keyPosition)
            }
            skipSpace()
            guard offset < count, base[offset] == UInt8(ascii: ":") else {
                throw problem("expected ':' after the key \(quoted(key)), found \(found())")
            }
            offset += 1
            skipSpace()
            let start = offset
            try member(&self, key, keyPosition)
            if offset == start { try skipValue() }
            skipSpace()
            guard offset < count else { throw problem("the text ends inside an object") }
            let byte = base[offset]
            if byte == UInt8(ascii: ",") {
                offset += 1
                if next(is: UInt8(ascii: "}")) {
                    throw problem("expected a key after ',', found '}': remove the comma")
                }
            } else if byte == UInt8(ascii: "}") {
                return leave()
            } else {
                throw problem("expected ',' or '}' after an object's value, found \(found())")
            }
        }
    }

    /// Reads a value of any kind and forgets it.
    public mutating func skipValue() throws {
        switch try peek() {
        case .null: try readNull()
        case .boolean: _ = try readBoolean()
        case .number: _ = try scanNumber()
        case .string: _ = try scanString()
        case .array: try readArray { try $0.skipValue() }
        case .object: try readObject { (reader, _, _) in try reader.skipValue() }
        }
    }

    /// Makes sure that nothing but white space follows.
    public mutating func finish() throws {
        skipSpace()
        if offset < count { throw problem("expected the end of the text after the value, found \(found())") }
    }
}
