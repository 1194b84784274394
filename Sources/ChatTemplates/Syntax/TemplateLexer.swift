import Diagnostics

/// Cuts a template into texts and the tokens of its tags, with the white space taken away that Jinja takes away where blocks
/// are trimmed (`trim_blocks`, `lstrip_blocks`).
struct TemplateLexer {
    /// The source with `\n` for every line break, without the last one.
    let bytes: [UInt8]
    var offset = 0
    var tokens: [TemplateToken] = []
    /// Whether what was read last ended with a line break, so that the next text begins a line.
    private var startsLine = true
    private var line = 1
    private var lineStart = 0
    /// Up to where lines have been counted.
    private var counted = 0

    init(_ source: String) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(source.utf8.count)
        var previous: UInt8 = 0
        for byte in source.utf8 {
            if byte == UInt8(ascii: "\r") {
                bytes.append(UInt8(ascii: "\n"))
            } else if byte != UInt8(ascii: "\n") || previous != UInt8(ascii: "\r") {
                bytes.append(byte)
            }
            previous = byte
        }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        self.bytes = bytes
    }

    /// - Throws: `Failure` with its place.
    static func tokens(of source: String) throws -> [TemplateToken] {
        var lexer = TemplateLexer(source)
        try lexer.readAll()
        return lexer.tokens
    }

    /// Where `offset`, which doesn't go back, stands in the source.
    mutating func position(of offset: Int) -> TextPosition {
        while counted < offset {
            if bytes[counted] == UInt8(ascii: "\n") {
                line += 1
                lineStart = counted + 1
            }
            counted += 1
        }
        return TextPosition(line: line, column: offset - lineStart + 1)
    }

    mutating func add(_ kind: TemplateToken.Kind, _ text: String, at start: Int) {
        tokens.append(TemplateToken(kind: kind, text: text, position: position(of: start)))
    }

    func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    func has(_ text: StaticString, at index: Int) -> Bool {
        guard index + text.utf8CodeUnitCount <= bytes.count else { return false }
        return text.withUTF8Buffer { $0.elementsEqual(bytes[index..<index + $0.count]) }
    }

    func skippingSpace(_ index: Int) -> Int {
        var index = index
        while let length = bytes.lengthOfSpace(at: index) { index += length }
        return index
    }

    private mutating func readAll() throws {
        while offset < bytes.count {
            guard let tag = nextTag(from: offset) else {
                add(.text, text(offset..<bytes.count), at: offset)
                offset = bytes.count
                break
            }
            if bytes[tag + 1] == UInt8(ascii: "%"), let end = endOfRawTag(tag) {
                let sign = sign(at: tag + 2)
                addText(offset..<tag, sign: sign, isPrint: false)
                offset = end
                startsLine = end > 0 && bytes[end - 1] == UInt8(ascii: "\n")
                try readRaw(tag)
                continue
            }
            let sign = sign(at: tag + 2)
            addText(offset..<tag, sign: sign, isPrint: bytes[tag + 1] == UInt8(ascii: "{"))
            offset = tag + (sign == nil ? 2 : 3)
            switch bytes[tag + 1] {
            case UInt8(ascii: "#"): try readComment(tag)
            case UInt8(ascii: "%"):
                add(.tagStart, "", at: tag)
                try readTag(start: tag, isPrint: false)
            default:
                add(.printStart, "", at: tag)
                try readTag(start: tag, isPrint: true)
            }
            startsLine = bytes[offset - 1] == UInt8(ascii: "\n")
        }
        add(.end, "", at: bytes.count)
    }

    private func nextTag(from start: Int) -> Int? {
        var index = start
        while index + 1 < bytes.count {
            if bytes[index] == UInt8(ascii: "{") {
                switch bytes[index + 1] {
                case UInt8(ascii: "%"), UInt8(ascii: "{"), UInt8(ascii: "#"): return index
                default: break
                }
            }
            index += 1
        }
        return nil
    }

    private func sign(at index: Int) -> UInt8? {
        guard index < bytes.count, [UInt8(ascii: "-"), UInt8(ascii: "+")].contains(bytes[index]) else { return nil }
        return bytes[index]
    }

    /// Adds a text in front of a tag with `sign`.
    private mutating func addText(_ range: Range<Int>, sign: UInt8?, isPrint: Bool) {
        var end = range.upperBound
        if sign == UInt8(ascii: "-") {
            while end > range.lowerBound, let length = bytes.lengthOfSpace(before: end) { end -= length }
            end = max(end, range.lowerBound)
        } else if sign == nil, !isPrint {
            let start = bytes[range].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 }
            if start != nil || startsLine, skippingSpace(start ?? range.lowerBound) >= end {
                end = start ?? range.lowerBound
            }
        }
        if end > range.lowerBound { add(.text, text(range.lowerBound..<end), at: range.lowerBound) }
    }

    /// Behind `%}` or `#}` at `index` with what it takes with it; nil where there is none.
    private func endOfTag(_ index: Int, _ mark: UInt8) -> Int? {
        func isEnd(_ index: Int) -> Bool {
            index + 1 < bytes.count && bytes[index] == mark && bytes[index + 1] == UInt8(ascii: "}")
        }
        if isEnd(index) {
            if mark == UInt8(ascii: "}") { return index + 2 }
            return index + 2 < bytes.count && bytes[index + 2] == UInt8(ascii: "\n") ? index + 3 : index + 2
        }
        if isEnd(index + 1), bytes[index] == UInt8(ascii: "-") { return skippingSpace(index + 3) }
        if isEnd(index + 1), bytes[index] == UInt8(ascii: "+"), mark != UInt8(ascii: "}") { return index + 3 }
        return nil
    }

    private mutating func readComment(_ tag: Int) throws {
        // As Jinja has it, nothing needs no end.
        if offset == bytes.count { return }
        for index in offset..<bytes.count {
            if let end = endOfTag(index, UInt8(ascii: "#")) {
                offset = end
                return
            }
        }
        throw Failure("the comment has no end; write '#}' behind it", at: position(of: tag))
    }

    /// Behind `{% raw %}` at `tag`; nil where there is another tag.
    private func endOfRawTag(_ tag: Int) -> Int? {
        let word = skippingSpace(tag + (sign(at: tag + 2) == nil ? 2 : 3))
        guard has("raw", at: word) else { return nil }
        let end = skippingSpace(word + 3)
        if has("-%}", at: end) { return skippingSpace(end + 3) }
        return has("%}", at: end) ? end + 2 : nil
    }

    private mutating func readRaw(_ tag: Int) throws {
        let start = offset
        if start == bytes.count { return }
        var index = start
        while index + 1 < bytes.count {
            if has("{%", at: index) {
                let sign = sign(at: index + 2)
                let word = skippingSpace(index + (sign == nil ? 2 : 3))
                if has("endraw", at: word), let end = endOfTag(skippingSpace(word + 6), UInt8(ascii: "%")) {
                    addText(start..<index, sign: sign, isPrint: false)
                    offset = end
                    startsLine = bytes[end - 1] == UInt8(ascii: "\n")
                    return
                }
            }
            index += 1
        }
        throw Failure("'raw' has no end; write {% endraw %} behind it", at: position(of: tag))
    }

    private mutating func readTag(start: Int, isPrint: Bool) throws {
        var open: [UInt8] = []
        let place = position(of: start)
        while true {
            offset = skippingSpace(offset)
            guard offset < bytes.count else {
                let (mark, end) = isPrint ? ("{{", "}}") : ("{%", "%}")
                throw Failure("'\(mark)' has no end; write '\(end)' behind it", at: place)
            }
            if open.isEmpty, let end = endOfTag(offset, isPrint ? UInt8(ascii: "}") : UInt8(ascii: "%")) {
                add(isPrint ? .printEnd : .tagEnd, "", at: offset)
                offset = end
                return
            }
            try readToken(&open)
        }
    }
}
