import Diagnostics

/// Takes a template apart.
struct TemplateParser {
    private let bytes: [UInt8]
    private let readsEscapes: Bool
    private var index = 0
    private(set) var fields: [Template.Field] = []
    /// What was read so far, written so that it reads as the same with escapes.
    private(set) var source: [UInt8] = []

    private static let backslash = UInt8(ascii: "\\")
    private static let open = UInt8(ascii: "{")
    private static let close = UInt8(ascii: "}")
    private static let question = UInt8(ascii: "?")

    init(_ source: String, readsEscapes: Bool) {
        bytes = Array(source.utf8)
        self.readsEscapes = readsEscapes
    }

    /// What a backslash and the character `byte` stand for; nil where they are themselves.
    static func escaped(_ byte: UInt8?) -> UInt8? {
        switch byte {
        case UInt8(ascii: "n"): UInt8(ascii: "\n")
        case UInt8(ascii: "t"): UInt8(ascii: "\t")
        case backslash: backslash
        default: nil
        }
    }

    mutating func parse() throws -> [Template.Piece] { try parse(inPart: false) }

    private func byte(_ distance: Int) -> UInt8? {
        index + distance < bytes.count ? bytes[index + distance] : nil
    }

    private mutating func take(_ count: Int) {
        source += bytes[index..<index + count]
        index += count
    }

    private mutating func parse(inPart: Bool) throws -> [Template.Piece] {
        var pieces: [Template.Piece] = []
        var literal: [UInt8] = []
        func flush() {
            if !literal.isEmpty { pieces.append(.literal(String(decoding: literal, as: UTF8.self))) }
            literal = []
        }
        while let byte = self.byte(0) {
            let next = self.byte(1)
            if byte == Self.open || byte == Self.close, next == byte {
                literal.append(byte)
                take(2)
            } else if byte == Self.open, next == Self.question {
                if self.byte(2) == Self.close {
                    throw Problem("'{?}' names no field; write {field?} for one that may be missing")
                }
                flush()
                pieces.append(try parsePart(inPart: inPart))
            } else if byte == Self.open {
                flush()
                pieces.append(.field(try parseField(inPart: inPart)))
            } else if inPart, byte == Self.question, next == Self.close {
                flush()
                take(2)
                return pieces
            } else if byte == Self.close {
                throw Problem("'}' without '{'; write }} for a brace")
            } else if byte == Self.backslash {
                literal.append(takeBackslash())
            } else {
                literal.append(byte)
                take(1)
            }
        }
        if inPart { throw Problem("'{?' begins a part that has no end; write '?}' behind it") }
        flush()
        return pieces
    }

    /// Reads a backslash and, where that belongs to it, the character behind it.
    private mutating func takeBackslash() -> UInt8 {
        guard let meant = Self.escaped(byte(1)) else {
            take(1)
            return Self.backslash
        }
        if !readsEscapes {
            source += [Self.backslash, Self.backslash]
            index += 1
            return Self.backslash
        }
        if meant == Self.backslash {
            take(2)
        } else {
            source.append(meant)
            index += 2
        }
        return meant
    }

    private mutating func parsePart(inPart: Bool) throws -> Template.Piece {
        if inPart { throw Problem("'{?' stands within another part that can be left out; close that first, by '?}'") }
        take(2)
        let pieces = try parse(inPart: true)
        var needs: [Int] = []
        for case .field(let index) in pieces where !always.contains(index) && !needs.contains(index) {
            needs.append(index)
        }
        always = []
        if needs.isEmpty { throw Problem("the part between '{?' and '?}' names no field whose absence leaves it out") }
        return .part(pieces, needs: needs)
    }

    /// Fields of the current part that don't decide whether it is there.
    private var always: Set<Int> = []

    private mutating func parseField(inPart: Bool) throws -> Int {
        let start = index + 1
        guard let end = bytes[index...].firstIndex(of: Self.close), end > start,
            !bytes[start..<end].contains(Self.open)
        else { throw Problem("'{' must be followed by a field's name and '}'; write {{ for a brace") }
        var name = bytes[start..<end]
        let isMarked = name.last == Self.question
        if isMarked {
            name.removeLast()
        }
        take(end + 1 - index)
        let field = Template.Field(String(decoding: name, as: UTF8.self), isOptional: isMarked || inPart)
        let place = fields.firstIndex { $0.name == field.name } ?? fields.count
        if place == fields.count {
            fields.append(field)
        } else if !field.isOptional {
            fields[place].isOptional = false
        }
        if isMarked { always.insert(place) }
        return place
    }
}
