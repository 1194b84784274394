import Diagnostics

extension TemplateParser {
    var isEndOfTuple: Bool { current.kind == .printEnd || current.kind == .tagEnd || isAt(symbol: ")") }

    /// Reads an expression, or several with commas between, which are a tuple.
    mutating func parseTuple(allowsConditional: Bool = true, isInParentheses: Bool = false) throws -> Expression {
        let place = current.position
        var items: [Expression] = []
        var isTuple = false
        while true {
            if !items.isEmpty { try expect(symbol: ",") }
            if isEndOfTuple { break }
            items.append(allowsConditional ? try parseExpression() : try parseBinary(0))
            guard isAt(symbol: ",") else { break }
            isTuple = true
        }
        if !isTuple {
            if let only = items.first { return only }
            if !isInParentheses { throw unexpected("an expression") }
        }
        return try Expression(.tuple(items), place)
    }

    mutating func parseExpression() throws -> Expression {
        let place = current.position
        var value = try parseBinary(0)
        while skip(name: "if") {
            let test = try parseBinary(0)
            let otherwise = skip(name: "else") ? try nested { try $0.parseExpression() } : nil
            value = try Expression(.conditional(test: test, value, otherwise: otherwise), place)
        }
        return value
    }

    /// Reads with `body` what lies a level deeper.
    mutating func nested<Result>(_ body: (inout Self) throws -> Result) throws -> Result {
        expressionDepth += 1
        defer { expressionDepth -= 1 }
        if expressionDepth > Limits.expressionDepth {
            throw Failure("the expression nests more than \(Limits.expressionDepth) levels deep", at: current.position)
        }
        return try body(&self)
    }

    /// The operators from the one that binds least to the one that binds most; `not` and comparisons lie between.
    private static let levels: [[String]] = [
        ["or"], ["and"], ["not"], ["=="], ["+", "-"], ["~"], ["*", "/", "//", "%"], ["**"],
    ]

    /// Reads an expression of operators that bind at least as `level` does.
    mutating func parseBinary(_ level: Int) throws -> Expression {
        switch level {
        case 2: try parseNot()
        case 3: try parseComparison()
        case 5: try parseConcatenation()
        case Self.levels.count: try parseUnary()
        default: try parseChain(level)
        }
    }

    private func operation(_ level: Int) -> String? {
        guard current.kind == (level < 3 ? .name : .symbol), Self.levels[level].contains(current.text) else {
            return nil
        }
        return current.text
    }

    private mutating func parseChain(_ level: Int) throws -> Expression {
        let place = current.position
        var left = try parseBinary(level + 1)
        while let text = operation(level) {
            let symbol = current.position
            advance()
            let right = try parseBinary(level + 1)
            switch text {
            case "or": left = try Expression(.or(left, right), place)
            case "and": left = try Expression(.and(left, right), place)
            default:
                guard let operation = Expression.BinaryOperator(rawValue: text) else { throw unexpected("an operator") }
                left = try binary(operation, left, right, symbol)
            }
        }
        return left
    }

    private func binary(
        _ operation: Expression.BinaryOperator, _ left: Expression, _ right: Expression, _ place: TextPosition
    ) throws -> Expression {
        // Jinja writes a constant's sign before Python's **, which binds more, unless it can compute all of it.
        if operation == .power, case .unary(.minus, let base) = left.kind, case .literal = base.kind, right.hasNames {
            return try Expression(.unary(.minus, try Expression(.binary(operation, base, right), place)), left.position)
        }
        return try Expression(.binary(operation, left, right), place)
    }

    private mutating func parseNot() throws -> Expression {
        let place = current.position
        guard skip(name: "not") else { return try parseBinary(3) }
        return try Expression(.not(try nested { try $0.parseNot() }), place)
    }

    private mutating func parseComparison() throws -> Expression {
        let place = current.position
        let first = try parseBinary(4)
        var others: [Expression.Comparison] = []
        while let operation = comparison() {
            others.append(Expression.Comparison(operation: operation, operand: try parseBinary(4)))
        }
        return others.isEmpty ? first : try Expression(.comparison(first, others), place)
    }

    private mutating func comparison() -> Expression.ComparisonOperator? {
        if current.kind == .symbol, let operation = Expression.ComparisonOperator(rawValue: current.text) {
            advance()
            return operation
        }
        if skip(name: "in") { return .contained }
        if isAt(name: "not"), following.kind == .name, following.text == "in" {
            advance()
            advance()
            return .notContained
        }
        return nil
    }

    private mutating func parseConcatenation() throws -> Expression {
        let place = current.position
        var items = [try parseBinary(6)]
        while skip(symbol: "~") { items.append(try parseBinary(6)) }
        return items.count == 1 ? items[0] : try Expression(.concatenation(items), place)
    }

    private mutating func parseUnary(withFilters: Bool = true) throws -> Expression {
        let place = current.position
        var value: Expression
        if skip(symbol: "-") {
            value = try Expression(.unary(.minus, try nested { try $0.parseUnary(withFilters: false) }), place)
        } else if skip(symbol: "+") {
            value = try Expression(.unary(.plus, try nested { try $0.parseUnary(withFilters: false) }), place)
        } else {
            value = try parsePrimary()
        }
        value = try parsePostfix(value)
        while withFilters {
            if isAt(symbol: "|") {
                value = try parseFilters(of: value)
            } else if isAt(name: "is") {
                value = try parseTest(value)
            } else if isAt(symbol: "(") {
                value = try Expression(.call(value, try parseArguments()), place)
            } else {
                break
            }
        }
        return value
    }

    mutating func parsePrimary() throws -> Expression {
        let token = current
        let place = token.position
        switch token.kind {
        case .name:
            advance()
            switch token.text {
            case "true", "True": return try Expression(.literal(.boolean(true)), place)
            case "false", "False": return try Expression(.literal(.boolean(false)), place)
            case "none", "None": return try Expression(.literal(.none), place)
            default: return try Expression(.name(number(of: token.text)), place)
            }
        case .string:
            var text = ""
            while current.kind == .string {
                text += current.text
                advance()
            }
            return try Expression(.literal(.string(text)), place)
        case .integer:
            advance()
            return try Expression(.literal(.integer(try integer(token))), place)
        case .number:
            advance()
            return try Expression(.literal(.number(Double(token.text) ?? .nan)), place)
        case .symbol where token.text == "(":
            advance()
            let value = try nested { try $0.parseTuple(isInParentheses: true) }
            try expect(symbol: ")")
            return value
        case .symbol where token.text == "[": return try nested { try $0.parseList() }
        case .symbol where token.text == "{": return try nested { try $0.parseDictionary() }
        default: throw unexpected("an expression")
        }
    }

    func integer(_ token: TemplateToken) throws -> Int {
        let digits = token.text.dropFirst(2)
        let value =
            switch token.text.dropFirst().first {
            case "b", "B": Int(digits, radix: 2)
            case "o", "O": Int(digits, radix: 8)
            case "x", "X": Int(digits, radix: 16)
            default: Int(token.text)
            }
        guard let value else { throw Failure("\(token.text) is beyond the integers of 64 bits", at: token.position) }
        return value
    }

    private mutating func parseList() throws -> Expression {
        let place = current.position
        try expect(symbol: "[")
        var items: [Expression] = []
        while !isAt(symbol: "]") {
            if !items.isEmpty { try expect(symbol: ",") }
            if isAt(symbol: "]") { break }
            items.append(try parseExpression())
        }
        try expect(symbol: "]")
        return try Expression(.list(items), place)
    }

    private mutating func parseDictionary() throws -> Expression {
        let place = current.position
        try expect(symbol: "{")
        var pairs: [Expression.Pair] = []
        while !isAt(symbol: "}") {
            if !pairs.isEmpty { try expect(symbol: ",") }
            if isAt(symbol: "}") { break }
            let key = try parseExpression()
            try expect(symbol: ":")
            pairs.append(Expression.Pair(key: key, value: try parseExpression()))
        }
        try expect(symbol: "}")
        return try Expression(.dictionary(pairs), place)
    }
}
