extension String {
    var pythonUppercased: String {
        if utf8.allSatisfy({ $0 < 0x80 }) { return uppercased() }
        var result = ""
        for scalar in unicodeScalars { result += scalar.properties.uppercaseMapping }
        return result
    }

    package var pythonLowercased: String {
        if utf8.allSatisfy({ $0 < 0x80 }) { return lowercased() }
        let scalars = Array(unicodeScalars)
        var result = ""
        for index in scalars.indices { result += Self.lowercased(scalars, index) }
        return result
    }

    /// The last letter of a Greek word has a form of its own.
    private static func lowercased(_ scalars: [UnicodeScalar], _ index: Int) -> String {
        if scalars[index] != "\u{3A3}" { return scalars[index].properties.lowercaseMapping }
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        return before?.properties.isCased == true && after?.properties.isCased != true ? "\u{3C2}" : "\u{3C3}"
    }

    /// The first character as it begins a title, the others in lower case.
    var pythonCapitalized: String {
        let scalars = Array(unicodeScalars)
        guard let first = scalars.first else { return "" }
        var result = first.properties.titlecaseMapping
        for index in scalars.indices.dropFirst() { result += Self.lowercased(scalars, index) }
        return result
    }

    var pythonTitlecased: String {
        let scalars = Array(unicodeScalars)
        var result = ""
        var followsLetter = false
        for index in scalars.indices {
            result += followsLetter ? Self.lowercased(scalars, index) : scalars[index].properties.titlecaseMapping
            followsLetter = scalars[index].properties.isCased
        }
        return result
    }

    var pythonSwapcased: String {
        let scalars = Array(unicodeScalars)
        var result = ""
        for index in scalars.indices {
            let scalar = scalars[index]
            result +=
                scalar.properties.isUppercase
                ? Self.lowercased(scalars, index)
                : scalar.properties.isLowercase ? scalar.properties.uppercaseMapping : String(scalar)
        }
        return result
    }

    private var isNotEmpty: Bool { !isEmpty }

    var isPythonLower: Bool {
        unicodeScalars.contains { $0.properties.isLowercase }
            && !unicodeScalars.contains {
                $0.properties.isUppercase || $0.properties.generalCategory == .titlecaseLetter
            }
    }

    var isPythonUpper: Bool {
        unicodeScalars.contains { $0.properties.isUppercase }
            && !unicodeScalars.contains {
                $0.properties.isLowercase || $0.properties.generalCategory == .titlecaseLetter
            }
    }

    var isPythonTitle: Bool {
        var followsLetter = false
        var isTitle = false
        for scalar in unicodeScalars {
            let properties = scalar.properties
            if properties.isUppercase || properties.generalCategory == .titlecaseLetter {
                if followsLetter { return false }
                (followsLetter, isTitle) = (true, true)
            } else if properties.isLowercase {
                if !followsLetter { return false }
                isTitle = true
            } else {
                followsLetter = false
            }
        }
        return isTitle
    }

    var isPythonSpace: Bool { isNotEmpty && unicodeScalars.allSatisfy(\.isPythonSpace) }
    var isPythonDigit: Bool { isNotEmpty && unicodeScalars.allSatisfy(\.isPythonDigit) }
    var isPythonDecimal: Bool { isNotEmpty && unicodeScalars.allSatisfy { $0.properties.numericType == .decimal } }
    var isPythonNumeric: Bool { isNotEmpty && unicodeScalars.allSatisfy { $0.properties.numericType != nil } }
    var isPythonAlphabetic: Bool { isNotEmpty && unicodeScalars.allSatisfy(\.isPythonLetter) }
    var isPythonAlphanumeric: Bool {
        isNotEmpty && unicodeScalars.allSatisfy { $0.isPythonLetter || $0.properties.numericType != nil }
    }
    var isPythonASCII: Bool { utf8.allSatisfy { $0 < 0x80 } }
    var isPythonPrintable: Bool { unicodeScalars.allSatisfy { $0 == " " || $0.isPythonPrintable } }
    var isPythonIdentifier: Bool {
        guard let first = unicodeScalars.first, first == "_" || first.properties.isXIDStart else { return false }
        return unicodeScalars.dropFirst().allSatisfy { $0.properties.isXIDContinue }
    }
}

extension UnicodeScalar {
    var isPythonDigit: Bool { properties.numericType == .decimal || properties.numericType == .digit }

    package var isPythonLetter: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    /// The value of a decimal digit of any script.
    var decimalDigit: Int? {
        if value < 0x80 { return value >= 0x30 && value <= 0x39 ? Int(value) - 0x30 : nil }
        guard properties.numericType == .decimal, let value = properties.numericValue else { return nil }
        return Int(value)
    }
}
