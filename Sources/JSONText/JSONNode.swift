public import Diagnostics
import Files

/// A JSON value with the place where it stands in its file.
public struct JSONNode: Sendable {
    public enum Content: Sendable {
        case null
        case boolean(Bool)
        /// A number written without point and exponent that fits `Int`.
        case integer(Int)
        case number(Double)
        case string(String)
        case array([JSONNode])
        case object([JSONMember])
    }

    public let content: Content
    private let line: UInt32
    private let column: UInt32
    let context: JSONContext

    init(_ content: Content, _ position: TextPosition, _ context: JSONContext) {
        self.content = content
        line = UInt32(truncatingIfNeeded: position.line)
        column = UInt32(truncatingIfNeeded: position.column)
        self.context = context
    }

    /// Where the value's first byte stands.
    public var position: TextPosition { TextPosition(line: Int(line), column: Int(column)) }
    /// The path that problems name.
    public var file: String? { context.file }
    /// The keys that lead here from the root, as far as they were followed by the accessors, joined by points.
    public var path: String? { context.path }

    func replacing(path: String) -> JSONNode { JSONNode(content, position, JSONContext(file: file, path: path)) }

    /// Reads a whole text, whose first byte is on line `line` of `file`.
    public static func parse(_ bytes: UnsafeRawBufferPointer, file: String? = nil, line: Int = 1) throws -> JSONNode {
        var reader = JSONReader(bytes, file: file, line: line)
        let node = try reader.readNode()
        try reader.finish()
        return node
    }

    /// Reads a whole text.
    public static func parse(_ text: String, file: String? = nil) throws -> JSONNode {
        var text = text
        return try text.withUTF8 { try parse(UnsafeRawBufferPointer($0), file: file) }
    }

    /// Reads the file at `path`.
    public static func load(path: String) throws -> JSONNode {
        try FileBytes(path: path).withBytes { try parse($0, file: path) }
    }
}

/// A key of an object with its value.
public struct JSONMember: Sendable {
    public let key: String
    /// Where the key's quotation mark stands.
    public let keyPosition: TextPosition
    public let value: JSONNode
}

/// What the nodes of a file share.
final class JSONContext: Sendable {
    let file: String?
    let path: String?

    init(file: String?, path: String?) {
        self.file = file
        self.path = path
    }
}

extension JSONReader {
    /// Reads a value of any kind into a tree.
    public mutating func readNode() throws -> JSONNode { try readNode(JSONContext(file: file, path: nil)) }

    private mutating func readNode(_ context: JSONContext) throws -> JSONNode {
        let kind = try peek()
        let start = position
        let content: JSONNode.Content
        switch kind {
        case .null:
            try readLiteral("null")
            content = .null
        case .boolean: content = .boolean(try readBoolean())
        case .number:
            switch try scanNumber() {
            case .integer(let value): content = .integer(value)
            case .number(let value): content = .number(value)
            }
        case .string: content = .string(String(decoding: try scanString(), as: UTF8.self))
        case .array:
            var elements: [JSONNode] = []
            try readArray { elements.append(try $0.readNode(context)) }
            content = .array(elements)
        case .object:
            var members: [JSONMember] = []
            try readObject { (reader, key, keyPosition) in
                let name = String(decoding: key, as: UTF8.self)
                members.append(JSONMember(key: name, keyPosition: keyPosition, value: try reader.readNode(context)))
            }
            content = .object(members)
        }
        return JSONNode(content, start, context)
    }
}
