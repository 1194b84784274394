import Diagnostics

/// A text with places for a record's fields: `"{mr}\n"`; `{{` and `}}` stand for braces.
public struct Template: Sendable, Hashable {
    private enum Piece: Sendable, Hashable {
        case literal(String)
        /// An index into `fieldNames`.
        case field(Int)
    }

    /// The template as written.
    public let source: String
    /// The fields that it needs, each once, in the order of appearance.
    public let fieldNames: [String]
    private let pieces: [Piece]

    /// Throws a `Problem` without a place where the braces don't match, or no field is named.
    public init(_ source: String) throws {
        self.source = source
        var pieces: [Piece] = []
        var names: [String] = []
        var literal: [UInt8] = []
        let bytes = Array(source.utf8)
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            let isDoubled = index + 1 < bytes.count && bytes[index + 1] == byte
            if byte == UInt8(ascii: "{"), !isDoubled {
                guard let end = bytes[index...].firstIndex(of: UInt8(ascii: "}")), end > index + 1 else {
                    throw Problem("'{' must be followed by a field's name and '}'; write {{ for a brace")
                }
                let name = String(decoding: bytes[index + 1..<end], as: UTF8.self)
                if !literal.isEmpty { pieces.append(.literal(String(decoding: literal, as: UTF8.self))) }
                literal = []
                if !names.contains(name) { names.append(name) }
                pieces.append(.field(names.firstIndex(of: name) ?? 0))
                index = end + 1
            } else if byte == UInt8(ascii: "}"), !isDoubled {
                throw Problem("'}' without '{'; write }} for a brace")
            } else {
                literal.append(byte)
                index += byte == UInt8(ascii: "{") || byte == UInt8(ascii: "}") ? 2 : 1
            }
        }
        if !literal.isEmpty { pieces.append(.literal(String(decoding: literal, as: UTF8.self))) }
        if names.isEmpty { throw Problem("names no field of the data; write {field} for one") }
        self.pieces = pieces
        fieldNames = names
    }

    /// The bare value of one field.
    init(field: String) {
        source = "{\(field)}"
        fieldNames = [field]
        pieces = [.field(0)]
    }

    /// The text with `values` for `fieldNames`, in the same order.
    public func render(_ values: some RandomAccessCollection<String>) -> String {
        var text = ""
        for piece in pieces {
            switch piece {
            case .literal(let literal): text += literal
            case .field(let index): text += values[values.index(values.startIndex, offsetBy: index)]
            }
        }
        return text
    }

    /// The virtual tokens that the template itself places, see `PlacedText`.
    public var virtualTokenCount: Int { renderPlaces(fieldNames.map { _ in "" }).virtualTokenCount }

    /// The text with `values` for `fieldNames` and with places for virtual tokens; what `values` hold is text in any
    /// case.
    public func renderPlaces(_ values: some RandomAccessCollection<String>) -> PlacedText {
        var text = PlacedText()
        for piece in pieces {
            switch piece {
            case .literal(let literal): text.append(literal)
            case .field(let index): text.appendLiteral(values[values.index(values.startIndex, offsetBy: index)])
            }
        }
        return text
    }
}
