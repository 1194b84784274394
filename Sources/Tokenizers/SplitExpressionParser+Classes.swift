/// Escapes, properties and classes in brackets.
extension SplitExpressionParser {
    mutating func escape() throws(ExpressionError) -> CodePointSet {
        index += 1
        guard let scalar = next else { throw unexpected() }
        index += 1
        func one(_ code: UInt32) -> CodePointSet { CodePointSet(code...code) }
        switch scalar {
        case "s": return .spaces
        case "S": return .spaces.inverted
        case "d": return CodePointSet(categories: [.decimalNumber])
        case "D": return CodePointSet(categories: [.decimalNumber]).inverted
        case "p", "P": return try property(isInverted: scalar == "P")
        case "n": return one(10)
        case "r": return one(13)
        case "t": return one(9)
        case "f": return one(12)
        case "v": return one(11)
        case "a": return one(7)
        case "e": return one(27)
        case "x": return one(try hexadecimal())
        case "u": return one(try hexadecimal(digits: 4))
        default:
            guard scalar.value < 0x80, !scalar.properties.isAlphabetic, scalar.properties.numericType == nil else {
                throw unsupported("'\\\(scalar)'")
            }
            return one(scalar.value)
        }
    }

    private mutating func hexadecimal(digits: Int? = nil) throws(ExpressionError) -> UInt32 {
        let isBraced = digits == nil && take("{")
        var word = ""
        while let next, next.properties.isASCIIHexDigit, word.utf8.count < digits ?? (isBraced ? 8 : 2) {
            word.unicodeScalars.append(next)
            index += 1
        }
        if isBraced, !take("}") { throw unexpected() }
        guard digits == nil || word.utf8.count == digits, let code = UInt32(word, radix: 16), code <= 0x10FFFF else {
            throw unexpected()
        }
        return code
    }

    private mutating func property(isInverted: Bool) throws(ExpressionError) -> CodePointSet {
        guard take("{") else { throw unexpected() }
        var isInverted = isInverted
        if take("^") { isInverted.toggle() }
        var name = ""
        while let next, next != "}" {
            name.unicodeScalars.append(next)
            index += 1
        }
        guard take("}") else { throw unexpected() }
        guard let set = Self.set(ofProperty: name.lowercased()) else { throw unsupported("the property '\(name)'") }
        return isInverted ? set.inverted : set
    }

    private static func set(ofProperty name: String) -> CodePointSet? {
        switch name {
        case "l", "letter": .letters
        case "n", "number": .numbers
        default: categories[name].map { CodePointSet(categories: $0) }
        }
    }

    private static let categories: [String: Set<Unicode.GeneralCategory>] = {
        var table: [String: Set<Unicode.GeneralCategory>] = [
            "lu": [.uppercaseLetter], "ll": [.lowercaseLetter], "lt": [.titlecaseLetter], "lm": [.modifierLetter],
            "lo": [.otherLetter], "mn": [.nonspacingMark], "mc": [.spacingMark], "me": [.enclosingMark],
            "nd": [.decimalNumber], "nl": [.letterNumber], "no": [.otherNumber], "pc": [.connectorPunctuation],
            "pd": [.dashPunctuation], "ps": [.openPunctuation], "pe": [.closePunctuation],
            "pi": [.initialPunctuation], "pf": [.finalPunctuation], "po": [.otherPunctuation],
            "sm": [.mathSymbol], "sc": [.currencySymbol], "sk": [.modifierSymbol], "so": [.otherSymbol],
            "zs": [.spaceSeparator], "zl": [.lineSeparator], "zp": [.paragraphSeparator],
        ]
        let names = table.keys
        for (letter, word) in [("m", "mark"), ("p", "punctuation"), ("s", "symbol"), ("z", "separator")] {
            let union = names.filter { $0.hasPrefix(letter) }.reduce(into: Set()) { $0.formUnion(table[$1] ?? []) }
            table[letter] = union
            table[word] = union
        }
        return table
    }()

    mutating func characterClass() throws(ExpressionError) -> CodePointSet {
        depth += 1
        defer { depth -= 1 }
        if depth > Self.maximumDepth { throw ExpressionError("its groups are nested too deeply") }
        index += 1
        let isInverted = take("^")
        var set = CodePointSet()
        var intersected: CodePointSet?
        var isFirst = true
        while true {
            guard let scalar = next else { throw unexpected() }
            if scalar == "]", !isFirst { break }
            isFirst = false
            if take("&&") {
                intersected = intersected?.intersection(set) ?? set
                set = CodePointSet()
                continue
            }
            if scalar == "[" {
                if index + 1 < text.count, text[index + 1] == ":" { throw unexpected() }
                set = set.union(try characterClass())
                continue
            }
            let start = try member()
            guard next == "-", index + 1 < text.count, text[index + 1] != "]", text[index + 1] != "[",
                let low = start.single
            else {
                set = set.union(try cased(start))
                continue
            }
            index += 1
            guard let high = try member().single, low <= high else { throw unexpected() }
            set = set.union(try cased(CodePointSet(low...high)))
        }
        index += 1
        let whole = intersected?.intersection(set) ?? set
        return isInverted ? whole.inverted : whole
    }

    private mutating func member() throws(ExpressionError) -> CodePointSet {
        guard let scalar = next else { throw unexpected() }
        if scalar == "\\" { return try escape() }
        index += 1
        return CodePointSet(scalar.value...scalar.value)
    }
}

extension CodePointSet {
    /// The one code point that it holds; nil for more or none.
    fileprivate var single: UInt32? {
        ranges.count == 1 && ranges[0].count == 1 ? ranges[0].lowerBound : nil
    }
}
