/// How Python's `format` lays a value out: `*>8.3f`.
struct FormatSpecification {
    private var fill: UnicodeScalar?
    private var alignment: UnicodeScalar?
    private var sign: UnicodeScalar = "-"
    private var isAlternate = false
    private var fillsWithZeros = false
    private var width = 0
    private var grouping: String?
    private var precision: Int?
    private var kind: UnicodeScalar?
    private let source: String

    static func format(_ value: Value, _ source: String) throws -> String {
        if source.isEmpty { return try value.printed() }
        return try FormatSpecification(source).format(value)
    }

    private init(_ source: String) throws {
        self.source = source
        let scalars = Array(source.unicodeScalars)
        var index = 0
        func isAlignment(_ place: Int) -> Bool {
            place < scalars.count && "<>=^".unicodeScalars.contains(scalars[place])
        }
        func isAt(_ text: String) -> Bool { index < scalars.count && text.unicodeScalars.contains(scalars[index]) }
        if isAlignment(1) {
            (fill, alignment, index) = (scalars[0], scalars[1], 2)
        } else if isAlignment(0) {
            (alignment, index) = (scalars[0], 1)
        }
        if isAt("+- ") {
            sign = scalars[index]
            index += 1
        }
        if isAt("#") {
            isAlternate = true
            index += 1
        }
        if isAt("0") {
            fillsWithZeros = alignment == nil
            if fill == nil { fill = "0" }
            index += 1
        }
        func number() throws -> Int? {
            var value: Int?
            while index < scalars.count, let digit = scalars[index].decimalDigit {
                value = (value ?? 0) * 10 + digit
                if value ?? 0 > Limits.textLength { throw Failure.textTooLong }
                index += 1
            }
            return value
        }
        width = try number() ?? 0
        if isAt(",_") {
            grouping = String(scalars[index])
            index += 1
        }
        if isAt(".") {
            index += 1
            guard let digits = try number() else { throw Self.invalid(source) }
            precision = digits
        }
        if index < scalars.count {
            kind = scalars[index]
            index += 1
        }
        if index != scalars.count { throw Self.invalid(source) }
        if precision ?? 0 > 1_000 { throw Failure("the format \(source.debugDescription) has more than 1000 digits") }
    }

    private static func invalid(_ source: String) -> Failure {
        Failure("the format \(source.debugDescription) isn't known")
    }

    private func format(_ value: Value) throws -> String {
        if let text = value.text { return try format(text) }
        if let integer = value.index { return try format(integer) }
        if case .number(let number) = value { return try format(number) }
        throw Failure("the format \(source.debugDescription) can't be applied to \(value.kindName)")
    }

    private func format(_ text: String) throws -> String {
        guard kind == nil || kind == "s", sign == "-", !isAlternate, grouping == nil, alignment != "=" else {
            throw Failure("the format \(source.debugDescription) can't be applied to a string")
        }
        let kept = precision.map { String(text.unicodeScalars.prefix($0)) } ?? text
        return try pad("", kept, otherwise: "<")
    }

    private func format(_ value: Int) throws -> String {
        var (digits, prefix) = ("", "")
        switch kind {
        case nil, "d", "n": digits = String(value.magnitude)
        case "b": (digits, prefix) = (String(value.magnitude, radix: 2), "0b")
        case "o": (digits, prefix) = (String(value.magnitude, radix: 8), "0o")
        case "x": (digits, prefix) = (String(value.magnitude, radix: 16), "0x")
        case "X": (digits, prefix) = (String(value.magnitude, radix: 16, uppercase: true), "0X")
        case "c":
            guard let scalar = UInt32(exactly: value).flatMap(UnicodeScalar.init) else {
                throw Failure("\(value) is no character")
            }
            return try pad("", String(scalar), otherwise: "<")
        case "e", "E", "f", "F", "g", "G", "%": return try format(Double(value))
        default: throw Self.invalid(source)
        }
        if precision != nil { throw Failure("the format \(source.debugDescription) can't be applied to an integer") }
        let isDecimal = [nil, "d", "n"].contains(kind)
        digits = grouped(digits, by: isDecimal ? 3 : 4)
        return try pad(signText(value < 0) + (isAlternate ? prefix : ""), digits, otherwise: ">")
    }

    private func signText(_ isNegative: Bool) -> String { isNegative ? "-" : sign == "-" ? "" : String(sign) }

    private func grouped(_ digits: String, by size: Int) -> String {
        guard let grouping else { return digits }
        var result = ""
        let count = digits.utf8.count
        for (index, digit) in digits.unicodeScalars.enumerated() {
            if index > 0, (count - index) % size == 0 { result += grouping }
            result.unicodeScalars.append(digit)
        }
        return result
    }

    private func format(_ value: Double) throws -> String {
        var text: String
        let magnitude = value.magnitude
        switch kind {
        case nil: text = Self.general(magnitude, precision)
        case "e", "E", "f", "F", "g", "G":
            guard let kind else { throw Self.invalid(source) }
            text = NumberText.formatted(
                magnitude, precision: precision ?? 6, kind: Character(kind), isAlternate: isAlternate)
        case "n":
            text = NumberText.formatted(magnitude, precision: precision ?? 6, kind: "g", isAlternate: isAlternate)
        case "%":
            text = NumberText.formatted(magnitude * 100, precision: precision ?? 6, kind: "f") + "%"
        default: throw Self.invalid(source)
        }
        if magnitude.isFinite {
            let whole = String(text.prefix { $0.isASCII && $0.isNumber })
            text = grouped(whole, by: 3) + text.dropFirst(whole.count)
        }
        return try pad(signText(value.sign == .minus && !value.isNaN), text, otherwise: ">")
    }

    /// A float without a kind: as it is printed, or with `precision` digits.
    private static func general(_ value: Double, _ precision: Int?) -> String {
        guard let precision, value.isFinite else { return pythonText(of: value) }
        let count = max(1, precision)
        let scientific = NumberText.formatted(value, precision: count - 1, kind: "e")
        let parts = scientific.split(separator: "e")
        let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        func trimmed(_ digits: String) -> String {
            guard digits.contains(".") else { return digits }
            var digits = digits
            while digits.last == "0" { digits.removeLast() }
            if digits.last == "." { digits.removeLast() }
            return digits
        }
        if exponent < -4 || exponent >= max(1, count - 1) && value != 0 {
            return trimmed(String(parts[0])) + "e" + (parts.count > 1 ? parts[1] : "+00")
        }
        let digits = trimmed(NumberText.formatted(value, precision: max(0, count - 1 - exponent), kind: "f"))
        return digits.contains(".") ? digits : digits + ".0"
    }

    private func pad(_ front: String, _ digits: String, otherwise: UnicodeScalar) throws -> String {
        let missing = width - front.scalarCount - digits.scalarCount
        if missing <= 0 { return front + digits }
        let isNumber = otherwise == ">"
        if fillsWithZeros, isNumber, grouping != nil {
            throw Failure("the format \(source.debugDescription), of zeros and groups at once, isn't supported")
        }
        let alignment = alignment ?? (fillsWithZeros && isNumber ? "=" : otherwise)
        let fill = String(fill ?? " ")
        let before = alignment == "<" ? 0 : alignment == "^" ? missing / 2 : missing
        let (left, right) = (try fill.repeated(before), try fill.repeated(missing - before))
        return alignment == "=" ? front + left + digits : left + front + digits + right
    }
}
