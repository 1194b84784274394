/// What Python's `text % values` gives.
struct PercentFormat {
    private let scalars: [UnicodeScalar]
    private var index = 0
    private let values: [Value]
    private var used = 0
    private let members: DictionaryValue?
    private let renderer: Renderer
    private let escapes: Bool

    static func format(_ template: Value, _ values: Value, _ renderer: Renderer) throws -> Value {
        var formatter = PercentFormat(template, values, renderer)
        return .text(try formatter.format(isMapping: isMapping(values)), like: template)
    }

    private init(_ template: Value, _ values: Value, _ renderer: Renderer) {
        scalars = Array((template.text ?? "").unicodeScalars)
        if case .tuple(let tuple) = values { self.values = tuple.items } else { self.values = [values] }
        if case .dictionary(let dictionary) = values { members = dictionary } else { members = nil }
        self.renderer = renderer
        escapes = template.isMarkup
    }

    /// Whether values may be left over, as of what has items by keys.
    private static func isMapping(_ value: Value) -> Bool {
        switch value {
        case .dictionary, .list, .range, .undefined: true
        default: false
        }
    }

    private mutating func format(isMapping: Bool) throws -> String {
        var result = ""
        while index < scalars.count {
            let scalar = scalars[index]
            index += 1
            if scalar != "%" {
                result.unicodeScalars.append(scalar)
                continue
            }
            let part = try formatField()
            try checkLength(result.utf8.count, adding: 1, part.utf8.count)
            try renderer.spend(1 + part.utf8.count / 32)
            result += part
        }
        if used < values.count, !isMapping { throw Failure("the format has fewer fields than there are values") }
        return result
    }

    private struct Layout {
        var isLeft = false
        var hasSign = false
        var hasSpace = false
        var isAlternate = false
        var hasZeros = false
        var width = 0
        var precision: Int?
    }

    private mutating func nextValue() throws -> Value {
        guard used < values.count else { throw Failure("the format has more fields than there are values") }
        used += 1
        return values[used - 1]
    }

    private mutating func number() throws -> Int? {
        if index < scalars.count, scalars[index] == "*" {
            index += 1
            return try Library.integer(try nextValue(), "%*", otherwise: 0)
        }
        var value: Int?
        while index < scalars.count, let digit = scalars[index].decimalDigit {
            value = (value ?? 0) * 10 + digit
            if value ?? 0 > Limits.textLength { throw Failure.textTooLong }
            index += 1
        }
        return value
    }

    private mutating func formatField() throws -> String {
        var member: Value?
        if index < scalars.count, scalars[index] == "(" {
            guard let members else { throw Failure("the format names its values, which needs an object") }
            var (depth, end) = (1, index + 1)
            while end < scalars.count, depth > 0 {
                if scalars[end] == "(" { depth += 1 }
                if scalars[end] == ")" { depth -= 1 }
                end += 1
            }
            if depth > 0 { throw Failure("a name in the format has no ')'") }
            let name = String(scalars[(index + 1)..<(end - 1)])
            guard let value = members.value(name) else { throw Failure("the format's field '\(name)' has no value") }
            member = value
            used = values.count
            index = end
        }
        var layout = Layout()
        while index < scalars.count, "-+ #0".unicodeScalars.contains(scalars[index]) {
            switch scalars[index] {
            case "-": layout.isLeft = true
            case "+": layout.hasSign = true
            case " ": layout.hasSpace = true
            case "#": layout.isAlternate = true
            default: layout.hasZeros = true
            }
            index += 1
        }
        let width = try number() ?? 0
        if width < 0 { layout.isLeft = true }
        layout.width = width == .min ? .max : abs(width)
        if layout.width > Limits.textLength { throw Failure.textTooLong }
        if index < scalars.count, scalars[index] == "." {
            index += 1
            layout.precision = max(0, try number() ?? 0)
            if layout.precision ?? 0 > 1_000 { throw Failure("a format has more than 1000 digits") }
        }
        if index < scalars.count, "hlL".unicodeScalars.contains(scalars[index]) { index += 1 }
        guard index < scalars.count else { throw Failure("the format ends within a field") }
        let kind = scalars[index]
        index += 1
        if kind == "%" { return "%" }
        return try format(try member ?? nextValue(), kind, layout)
    }

    private func format(_ value: Value, _ kind: UnicodeScalar, _ layout: Layout) throws -> String {
        switch kind {
        case "s", "r", "a":
            var text = kind == "s" ? try value.printed() : try value.represented()
            if kind == "a" { text = text.escapedForASCII }
            if escapes, !(kind == "s" && value.isMarkup) { text = text.escapedForHTML }
            if let precision = layout.precision { text = String(text.unicodeScalars.prefix(precision)) }
            return try text.padded(layout.width, " ", left: !layout.isLeft, right: layout.isLeft)
        case "c":
            if let text = value.text, text.scalarCount == 1 {
                return try text.padded(layout.width, " ", left: !layout.isLeft, right: layout.isLeft)
            }
            guard let scalar = value.index.flatMap(UInt32.init(exactly:)).flatMap(UnicodeScalar.init) else {
                throw Failure("'%c' needs a character")
            }
            return try String(scalar).padded(layout.width, " ", left: !layout.isLeft, right: layout.isLeft)
        case "d", "i", "u", "x", "X", "o": return try formatInteger(value, kind, layout)
        case "e", "E", "f", "F", "g", "G":
            guard let number = value.asDouble else { throw Failure("'%\(kind)' needs a number, not \(value.kindName)") }
            let digits = NumberText.formatted(
                number.magnitude, precision: layout.precision ?? 6, kind: Character(kind),
                isAlternate: layout.isAlternate)
            return try pad(number.sign == .minus && !number.isNaN, "", digits, layout, isFinite: number.isFinite)
        default: throw Failure("'%\(kind)' isn't known in a format; write '%%' for a percent sign")
        }
    }

    private func formatInteger(_ value: Value, _ kind: UnicodeScalar, _ layout: Layout) throws -> String {
        if case .undefined(let undefined) = value { throw Failure(undefined.reason) }
        var integer = value.index
        if case .number(let number) = value, ["d", "i", "u"].contains(kind) {
            integer = Int(exactly: number.rounded(.towardZero))
            if integer == nil { throw Operators.beyondIntegers }
        }
        guard let integer else { throw Failure("'%\(kind)' needs an integer, not \(value.kindName)") }
        let (radix, prefix) = kind == "o" ? (8, "0o") : kind == "x" ? (16, "0x") : kind == "X" ? (16, "0X") : (10, "")
        var digits = String(integer.magnitude, radix: radix, uppercase: kind == "X")
        if let precision = layout.precision { digits = try digits.padded(precision, "0", left: true, right: false) }
        return try pad(integer < 0, layout.isAlternate ? prefix : "", digits, layout, isFinite: true)
    }

    private func pad(
        _ isNegative: Bool, _ prefix: String, _ digits: String, _ layout: Layout, isFinite: Bool
    ) throws -> String {
        let front = (isNegative ? "-" : layout.hasSign ? "+" : layout.hasSpace ? " " : "") + prefix
        if layout.hasZeros, !layout.isLeft {
            return front + (try digits.padded(layout.width - front.utf8.count, "0", left: true, right: false))
        }
        return try (front + digits).padded(layout.width, " ", left: !layout.isLeft, right: layout.isLeft)
    }
}
