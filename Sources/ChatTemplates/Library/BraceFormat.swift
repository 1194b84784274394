/// What Python's `str.format` gives.
enum BraceFormat {
    static func format(
        _ receiver: Value, _ text: String, _ name: String, _ arguments: CallArguments, _ renderer: Renderer
    ) throws -> Value {
        var arguments = arguments
        if name == "format_map" {
            guard arguments.keywords.isEmpty, arguments.positional.count == 1,
                case .dictionary(let members) = arguments.positional[0]
            else { throw Failure("the method 'format_map' takes one object") }
            arguments.positional = []
            for (key, value) in zip(members.keys, members.values) {
                if let name = key.text { arguments.keywords.append((name, value)) }
            }
        }
        var formatter = Formatter(arguments: arguments, renderer: renderer, escapes: receiver.isMarkup)
        return .text(try formatter.format(Array(text.unicodeScalars), level: 0), like: receiver)
    }

    private struct Formatter {
        let arguments: CallArguments
        let renderer: Renderer
        let escapes: Bool
        /// The number of the next field without a name; nil where fields have numbers.
        private var next: Int? = 0

        init(arguments: CallArguments, renderer: Renderer, escapes: Bool) {
            self.arguments = arguments
            self.renderer = renderer
            self.escapes = escapes
        }

        mutating func format(_ text: [UnicodeScalar], level: Int) throws -> String {
            if level > 1 { throw Failure("the fields of a format nest too deep") }
            var result = ""
            var index = 0
            while index < text.count {
                let scalar = text[index]
                index += 1
                if scalar == "{" || scalar == "}", index < text.count, text[index] == scalar {
                    index += 1
                    result.unicodeScalars.append(scalar)
                } else if scalar == "{" {
                    let end = try endOfField(text, index)
                    let part = try formatField(Array(text[index..<end]), level: level)
                    try checkLength(result.utf8.count, adding: 1, part.utf8.count)
                    try renderer.spend(1 + part.utf8.count / 32)
                    result += part
                    index = end + 1
                } else if scalar == "}" {
                    throw Failure("the format has a '}' without '{'; write '}}' for a brace")
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
            return result
        }

        private func endOfField(_ text: [UnicodeScalar], _ start: Int) throws -> Int {
            var depth = 1
            for index in start..<text.count {
                if text[index] == "{" { depth += 1 }
                if text[index] == "}" { depth -= 1 }
                if depth == 0 { return index }
            }
            throw Failure("the format has a '{' without '}'; write '{{' for a brace")
        }

        private mutating func formatField(_ field: [UnicodeScalar], level: Int) throws -> String {
            var index = 0
            var isInBrackets = false
            while index < field.count, isInBrackets || field[index] != "!" && field[index] != ":" {
                if field[index] == "[" { isInBrackets = true }
                if field[index] == "]" { isInBrackets = false }
                index += 1
            }
            var value = try self.value(String(field[..<index]))
            if index < field.count, field[index] == "!" {
                guard index + 1 < field.count, index + 2 == field.count || field[index + 2] == ":" else {
                    throw Failure("the format has a '!' that no conversion stands behind")
                }
                value = try converted(value, field[index + 1])
                index += 2
            }
            let specification = index < field.count ? try format(Array(field[(index + 1)...]), level: level + 1) : ""
            let text = try FormatSpecification.format(value, specification)
            return escapes && !value.isMarkup ? text.escapedForHTML : text
        }

        private func converted(_ value: Value, _ conversion: UnicodeScalar) throws -> Value {
            switch conversion {
            case "s": return .string(try value.printed())
            case "r": return .string(try value.represented())
            case "a": return .string(try value.represented().escapedForASCII)
            default: throw Failure("the conversion '!\(conversion)' isn't known")
            }
        }

        private mutating func value(_ path: String) throws -> Value {
            let end = path.unicodeScalars.firstIndex { $0 == "." || $0 == "[" } ?? path.endIndex
            var value = try first(String(path[..<end]))
            var rest = path.unicodeScalars[end...]
            while let mark = rest.popFirst() {
                if mark == "." {
                    let name = rest.prefix { $0 != "." && $0 != "[" }
                    rest = rest[name.endIndex...]
                    value = try renderer.attribute(String(name), of: value)
                } else {
                    guard mark == "[", let close = rest.firstIndex(of: "]") else {
                        throw Failure("the format's field \(path.debugDescription) isn't well formed")
                    }
                    let name = String(rest[..<close])
                    rest = rest[close...].dropFirst()
                    let index = name.isPythonDigit ? try NumberText.integer(name, base: 10) : nil
                    value = try renderer.item(index.map { .integer($0) } ?? .string(name), of: value)
                }
            }
            return value
        }

        private mutating func first(_ name: String) throws -> Value {
            var number: Int?
            if name.isEmpty {
                guard let index = next else { throw Failure("a format's fields have numbers or none, not both") }
                number = index
                next = index + 1
            } else if name.isPythonDigit {
                if next ?? 0 > 0 { throw Failure("a format's fields have numbers or none, not both") }
                next = nil
                number = try NumberText.integer(name, base: 10)
            }
            if let number {
                guard number < arguments.positional.count else {
                    throw Failure("the format's field \(number) has no value")
                }
                return arguments.positional[number]
            }
            guard let value = arguments.keywords.last(where: { sameName($0.name, name) })?.value else {
                throw Failure("the format's field '\(name)' has no value")
            }
            return value
        }
    }
}

extension String {
    /// With escapes for all that isn't ASCII.
    var escapedForASCII: String {
        var result = ""
        for scalar in unicodeScalars {
            if scalar.value < 0x80 { result.unicodeScalars.append(scalar) } else { result += scalar.pythonEscape }
        }
        return result
    }
}
