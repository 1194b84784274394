import Diagnostics

/// Reads messages of protocol buffers field by field; what lies outside the bytes is never touched.
struct ProtobufReader {
    enum Value {
        case number(UInt64)
        case fixed32(UInt32)
        case fixed64(UInt64)
        /// Where the bytes of a text, or of a message inside, lie.
        case bytes(Range<Int>)
    }

    struct Field {
        var number: Int
        var value: Value
        /// Where it begins.
        var offset: Int
    }

    private let bytes: UnsafeRawBufferPointer
    private let file: String
    private var index: Int
    private let end: Int

    /// Reads the message that `range` of the file's bytes holds; all of them where it is nil.
    init(_ bytes: UnsafeRawBufferPointer, file: String, range: Range<Int>? = nil) {
        self.bytes = bytes
        self.file = file
        index = range?.lowerBound ?? 0
        end = range?.upperBound ?? bytes.count
    }

    func problem(_ message: String, at offset: Int) -> Problem {
        Problem("byte \(offset): \(message)", file: file)
    }

    /// The next field; nil at the end.
    mutating func next() throws -> Field? {
        if index == end { return nil }
        let offset = index
        let tag = try number()
        guard tag >> 3 > 0, tag >> 3 < 1 << 29 else { throw problem("no field of a message begins here", at: offset) }
        let value: Value
        switch tag & 7 {
        case 0: value = .number(try number())
        case 1: value = .fixed64(try fixed(8))
        case 2:
            let length = try number()
            guard length <= UInt64(end - index) else {
                throw problem("a field is longer than what is left of the file or message", at: offset)
            }
            let start = index
            index += Int(length)
            value = .bytes(start..<index)
        case 5: value = .fixed32(UInt32(truncatingIfNeeded: try fixed(4)))
        default: throw problem("no field of a message begins here", at: offset)
        }
        return Field(number: Int(tag >> 3), value: value, offset: offset)
    }

    private mutating func number() throws -> UInt64 {
        let start = index
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard index < end else { throw problem("a number is cut off", at: start) }
            let byte = bytes[index]
            index += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw problem("a number of more than ten bytes", at: start)
    }

    private mutating func fixed(_ count: Int) throws -> UInt64 {
        guard end - index >= count else { throw problem("a number is cut off", at: index) }
        defer { index += count }
        return (0..<count).reduce(0) { $0 | UInt64(bytes[index + $1]) << UInt64(8 * $1) }
    }
}

extension ProtobufReader {
    func problem(_ field: Field, _ expected: String) -> Problem {
        problem("expected \(expected) in field \(field.number)", at: field.offset)
    }

    func message(_ field: Field) throws -> ProtobufReader {
        guard case .bytes(let range) = field.value else { throw problem(field, "a message") }
        return ProtobufReader(bytes, file: file, range: range)
    }

    func bytes(_ field: Field) throws -> Range<Int> {
        guard case .bytes(let range) = field.value else { throw problem(field, "bytes") }
        return range
    }

    func text(_ field: Field) throws -> String {
        guard case .bytes(let range) = field.value,
            let text = String(validating: bytes[range], as: UTF8.self)
        else { throw problem(field, "a text in UTF-8") }
        return text
    }

    func boolean(_ field: Field) throws -> Bool {
        guard case .number(let value) = field.value else { throw problem(field, "true or false") }
        return value != 0
    }

    func integer(_ field: Field) throws -> Int {
        guard case .number(let value) = field.value else { throw problem(field, "an integer") }
        // Negative ones are written as 64 bits.
        return Int(Int32(truncatingIfNeeded: value))
    }

    func number(_ field: Field) throws -> Float {
        guard case .fixed32(let bits) = field.value, Float(bitPattern: bits).isFinite else {
            throw problem(field, "a finite number")
        }
        return Float(bitPattern: bits)
    }
}
