// What Python's `str` does, by code points.
extension String {
    var scalarCount: Int { unicodeScalars.count }

    init(_ scalars: some Sequence<UnicodeScalar>) {
        self.init()
        unicodeScalars.append(contentsOf: scalars)
    }

    /// The byte at which `part` stands first; nil where it doesn't.
    func firstOffset(of part: String) -> Int? { part.isEmpty ? 0 : offsets(of: part, limit: 1).first }

    /// All bytes at which `part`, which isn't empty, stands without overlap, from the left, at most `limit` of them.
    func offsets(of part: String, limit: Int = .max) -> [Int] {
        let search = ByteSearch(Array(part.utf8))
        var text = self
        return text.withUTF8 { text in
            var offsets: [Int] = []
            var start = 0
            while offsets.count < limit, let offset = search.first(in: text, from: start) {
                offsets.append(offset)
                start = offset + part.utf8.count
            }
            return offsets
        }
    }

    /// The same from the right, the last first.
    func offsetsFromEnd(of part: String, limit: Int = .max) -> [Int] {
        func reversed(_ text: String) -> [UInt8] { text.utf8.reversed() }
        let search = ByteSearch(reversed(part))
        return reversed(self).withUnsafeBufferPointer { text in
            var offsets: [Int] = []
            var start = 0
            while offsets.count < limit, let offset = search.first(in: text, from: start) {
                start = offset + part.utf8.count
                offsets.append(text.count - start)
            }
            return offsets
        }
    }

    func bytes(_ range: Range<Int>) -> String {
        let (start, end) = (
            utf8.index(startIndex, offsetBy: range.lowerBound), utf8.index(startIndex, offsetBy: range.upperBound)
        )
        return String(self[start..<end])
    }

    func replacing(_ old: String, by new: String, limit: Int) throws -> String {
        if limit == 0 { return self }
        let limit = limit < 0 ? Int.max : limit
        if old.isEmpty { return try interleaved(new, limit: limit) }
        let places = offsets(of: old, limit: limit)
        if places.isEmpty { return self }
        try checkLength(utf8.count, adding: places.count, new.utf8.count)
        var result = ""
        var start = 0
        let source = Array(utf8)
        for place in places {
            result += String(decoding: source[start..<place], as: UTF8.self) + new
            start = place + old.utf8.count
        }
        return result + String(decoding: source[start...], as: UTF8.self)
    }

    private func interleaved(_ new: String, limit: Int) throws -> String {
        var result = ""
        var count = 0
        try checkLength(utf8.count, adding: scalarCount + 1, new.utf8.count)
        for scalar in unicodeScalars {
            if count < limit { result += new }
            count += 1
            result.unicodeScalars.append(scalar)
        }
        return count < limit ? result + new : result
    }

    func repeated(_ count: Int) throws -> String {
        if count <= 0 || isEmpty { return "" }
        try checkLength(0, adding: count, utf8.count)
        let bytes = Array(utf8)
        // Many times faster than `String(repeating:count:)`.
        return String(unsafeUninitializedCapacity: bytes.count * count) { buffer in
            for (index, byte) in bytes.enumerated() { buffer[index] = byte }
            for index in bytes.count..<max(bytes.count, bytes.count * count) {
                buffer[index] = buffer[index - bytes.count]
            }
            return bytes.count * count
        }
    }

    /// Split at white space, at most `limit` times.
    func splitAtSpace(limit: Int, fromEnd: Bool) -> [String] {
        var pieces: [String] = []
        var rest = unicodeScalars[...]
        while true {
            if fromEnd { while rest.last?.isPythonSpace == true { rest.removeLast() } }
            if !fromEnd { while rest.first?.isPythonSpace == true { rest.removeFirst() } }
            if rest.isEmpty { break }
            if limit >= 0, pieces.count == limit {
                pieces.append(String(rest))
                break
            }
            if fromEnd {
                let start = rest.lastIndex { $0.isPythonSpace }.map { rest.index(after: $0) } ?? rest.startIndex
                pieces.append(String(rest[start...]))
                rest = rest[..<start]
            } else {
                let end = rest.firstIndex { $0.isPythonSpace } ?? rest.endIndex
                pieces.append(String(rest[..<end]))
                rest = rest[end...]
            }
        }
        return fromEnd ? pieces.reversed() : pieces
    }

    /// Split at `separator`, which isn't empty, at most `limit` times where that isn't negative.
    func split(at separator: String, limit: Int, fromEnd: Bool) -> [String] {
        let limit = limit < 0 ? Int.max : limit
        let places =
            fromEnd ? offsetsFromEnd(of: separator, limit: limit).reversed() : offsets(of: separator, limit: limit)
        let source = Array(utf8)
        var pieces: [String] = []
        var start = 0
        for place in places {
            pieces.append(String(decoding: source[start..<place], as: UTF8.self))
            start = place + separator.utf8.count
        }
        return pieces + [String(decoding: source[start...], as: UTF8.self)]
    }

    /// The lines, at all that Python takes for the end of one.
    func splitLines(keepingEnds: Bool) -> [String] {
        var lines: [String] = []
        var line = ""
        var scalars = unicodeScalars.makeIterator()
        var next = scalars.next()
        while let scalar = next {
            next = scalars.next()
            guard scalar.isPythonLineBreak else {
                line.unicodeScalars.append(scalar)
                continue
            }
            if keepingEnds { line.unicodeScalars.append(scalar) }
            if scalar == "\r", next == "\n" {
                if keepingEnds { line.unicodeScalars.append("\n") }
                next = scalars.next()
            }
            lines.append(line)
            line = ""
        }
        return line.isEmpty ? lines : lines + [line]
    }

    /// Without characters at its ends that `characters` has, white space where that is nil.
    func stripped(_ characters: String?, start: Bool, end: Bool) -> String {
        let set = characters.map { Set($0.unicodeScalars) }
        func goes(_ scalar: UnicodeScalar) -> Bool { set?.contains(scalar) ?? scalar.isPythonSpace }
        var rest = unicodeScalars[...]
        if start { rest = rest.drop(while: goes) }
        if end { while let last = rest.last, goes(last) { rest.removeLast() } }
        return String(rest)
    }

    func starts(with prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }

    func ends(with suffix: String) -> Bool {
        utf8.count >= suffix.utf8.count && utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
    }

    /// With spaces, or `fill`, around it up to `width` characters.
    func padded(_ width: Int, _ fill: String, left: Bool, right: Bool) throws -> String {
        let missing = width - scalarCount
        if missing <= 0 { return self }
        // As Python's `center` halves it.
        let before = left && right ? missing / 2 + (missing & width & 1) : left ? missing : 0
        return try fill.repeated(before) + self + fill.repeated(missing - before)
    }

    /// What HTML needs as escapes, as them.
    var escapedForHTML: String {
        var result = ""
        for scalar in unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "'": result += "&#39;"
            case "\"": result += "&#34;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

func checkLength(_ length: Int, adding count: Int, _ each: Int) throws {
    let (product, overflows) = count.multipliedReportingOverflow(by: each)
    if overflows || product > Limits.textLength - length { throw Failure.textTooLong }
}
