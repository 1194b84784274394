import Diagnostics
import JSONText

/// The parsed and checked header of a safetensors file.
///
/// The layout (huggingface/safetensors, README): eight bytes with the header's length, little-endian; the header, a
/// JSON object padded with spaces; the elements of all tensors, without a gap and to the end of the file.
struct SafetensorsHeader {
    /// In the order of their bytes.
    private(set) var tensors: [TensorEntry] = []
    private(set) var metadata: [String: String] = [:]

    /// The limit of the reference implementation.
    static let lengthLimit = 100_000_000

    private let bytes: UnsafeRawBufferPointer
    private let file: String
    private let dataStart: Int

    /// Throws a `Problem` that names `file` and, where one is concerned, the tensor.
    init(_ bytes: UnsafeRawBufferPointer, file: String) throws {
        self.bytes = bytes
        self.file = file
        dataStart = 8 + (try Self.headerLength(bytes, file: file))
        if bytes[8] != UInt8(ascii: "{") {
            throw Problem(
                "the header does not start with '{': not a safetensors file, or a damaged one", file: file)
        }
        try parse()
        try checkCoverage()
    }

    private static func headerLength(_ bytes: UnsafeRawBufferPointer, file: String) throws -> Int {
        if bytes.isEmpty { throw Problem("the file is empty", file: file) }
        if let problem = foreignFormat(bytes, file: file) { throw problem }
        if bytes.count < 8 {
            throw Problem(
                "the file has \(bytes.count) bytes, fewer than the 8 that hold the header's length: it is truncated, "
                    + "or not a safetensors file", file: file)
        }
        let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        if length > UInt64(lengthLimit) {
            throw Problem(
                "the header's length is given as \(length) bytes, more than the limit of \(lengthLimit): not a "
                    + "safetensors file, or a damaged one", file: file)
        }
        if length > UInt64(bytes.count - 8) {
            throw Problem(
                "the header's length is given as \(length) bytes, but only \(bytes.count - 8) follow: the file is "
                    + "truncated", file: file)
        }
        if length == 0 { throw Problem("the header is empty", file: file) }
        return Int(length)
    }

    private mutating func parse() throws {
        var reader = JSONReader(UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart]))
        var names: Set<String> = []
        do {
            try reader.readObject { reader, key in
                let name = String(decoding: key, as: UTF8.self)
                if name == "__metadata__" { return try readMetadata(&reader) }
                // Strings are equal canonically, so one dictionary could not hold both.
                if !names.insert(name).inserted {
                    throw Problem("appears twice, in two Unicode spellings", key: name)
                }
                tensors.append(try readTensor(&reader, name: name))
            }
            try reader.finish()
        } catch var problem as Problem {
            if let position = problem.position {
                problem.message = "the header is broken at \(Self.words(for: position)): \(problem.message)"
                problem.position = nil
            }
            problem.file = file
            throw problem
        }
    }

    /// Headers are one line as a rule, so that a column is a byte of the header.
    private static func words(for position: TextPosition) -> String {
        position.line == 1 ? "byte \(position.column)" : "line \(position.line), byte \(position.column)"
    }

    private mutating func readMetadata(_ reader: inout JSONReader) throws {
        do {
            try reader.readObject { reader, key in
                metadata[String(decoding: key, as: UTF8.self)] = try reader.readString()
            }
        } catch var problem as Problem {
            problem.key = "__metadata__"
            throw problem
        }
    }

    private func readTensor(_ reader: inout JSONReader, name: String) throws -> TensorEntry {
        do {
            var elementType: ElementType?
            var shape: [Int]?
            var offsets: [Int]?
            try reader.readObject { reader, key in
                if key.matches("dtype") {
                    elementType = try readElementType(&reader)
                } else if key.matches("shape") {
                    shape = try readSizes(&reader, "the shape")
                } else if key.matches("data_offsets") {
                    offsets = try readSizes(&reader, "data_offsets")
                } else {
                    throw Problem(
                        "unknown field '\(String(decoding: key, as: UTF8.self))' (a tensor has dtype, shape "
                            + "and data_offsets)")
                }
            }
            guard let elementType else { throw Problem("the dtype is missing") }
            guard let shape else { throw Problem("the shape is missing") }
            guard let offsets else { throw Problem("data_offsets are missing") }
            return try entry(name, elementType, shape, offsets)
        } catch var problem as Problem {
            problem.key = name
            throw problem
        }
    }

    private func readElementType(_ reader: inout JSONReader) throws -> ElementType {
        let text = try reader.readString()
        guard let type = ElementType(rawValue: text) else {
            let known = ElementType.allCases.map(\.rawValue).joined(separator: ", ")
            throw Problem("unknown dtype '\(text)' (known are \(known))")
        }
        return type
    }

    private func readSizes(_ reader: inout JSONReader, _ what: String) throws -> [Int] {
        var sizes: [Int] = []
        try reader.readArray { reader in
            let size = try reader.readInteger()
            if size < 0 { throw Problem("\(what) has the negative number \(size)") }
            sizes.append(size)
        }
        return sizes
    }

    private func entry(
        _ name: String, _ elementType: ElementType, _ shape: [Int], _ offsets: [Int]
    ) throws -> TensorEntry {
        guard offsets.count == 2 else { throw Problem("data_offsets are \(offsets), not a start and an end") }
        let (start, end) = (offsets[0], offsets[1])
        let dataCount = bytes.count - dataStart
        if start > end { throw Problem("data_offsets are \(offsets): the end comes before the start") }
        if end > dataCount {
            throw Problem(
                "data_offsets are \(offsets), but the file has \(dataCount) bytes of data: it is truncated or damaged")
        }
        guard let (count, byteCount) = sizes(of: shape, elementType) else {
            throw Problem("the size of \(elementType) \(shape) in bytes is not a whole number that can be addressed")
        }
        if byteCount != end - start {
            throw Problem(
                "data_offsets \(offsets) hold \(end - start) bytes, but \(elementType) \(shape) takes \(byteCount)")
        }
        return TensorEntry(
            name: name, elementType: elementType, shape: shape, count: count,
            byteRange: dataStart + start..<dataStart + end)
    }

    /// Puts the tensors in the order of their bytes and makes sure that each byte belongs to one.
    private mutating func checkCoverage() throws {
        let order = tensors.indices.sorted { a, b in
            let (left, right) = (tensors[a].byteRange, tensors[b].byteRange)
            return (left.lowerBound, left.upperBound, a) < (right.lowerBound, right.upperBound, b)
        }
        tensors = order.map { tensors[$0] }
        var end = dataStart
        var previous = ""
        for tensor in tensors {
            if tensor.byteRange.lowerBound < end {
                throw Problem("its bytes overlap those of '\(previous)'", file: file, key: tensor.name)
            }
            if tensor.byteRange.lowerBound > end {
                throw Problem(
                    "the \(tensor.byteRange.lowerBound - end) bytes before its data belong to no tensor", file: file,
                    key: tensor.name)
            }
            end = tensor.byteRange.upperBound
            previous = tensor.name
        }
        if end < bytes.count {
            let rest = bytes.count - end
            throw Problem(
                rest == 1
                    ? "the last byte of the file belongs to no tensor"
                    : "the last \(rest) bytes of the file belong to no tensor", file: file)
        }
    }
}
