import Diagnostics

extension TemplateParser {
    /// Reads the attributes, items and calls behind an expression.
    mutating func parsePostfix(_ expression: Expression) throws -> Expression {
        var value = expression
        while current.kind == .symbol {
            let place = current.position
            switch current.text {
            case ".": value = try parseAttribute(of: value)
            case "[": value = try nested { try $0.parseItem(of: value, place) }
            case "(": value = try Expression(.call(value, try parseArguments()), place)
            default: return value
            }
        }
        return value
    }

    private mutating func parseAttribute(of value: Expression) throws -> Expression {
        advance()
        let token = current
        advance()
        switch token.kind {
        case .name: return try Expression(.attribute(value, token.text), token.position)
        case .integer:
            let index = try Expression(.literal(.integer(try integer(token))), token.position)
            return try Expression(.item(value, index), token.position)
        default: throw Failure("expected a name or a number, found \(token.shown)", at: token.position)
        }
    }

    private mutating func parseItem(of value: Expression, _ place: TextPosition) throws -> Expression {
        try expect(symbol: "[")
        var items: [Expression] = []
        while !isAt(symbol: "]") {
            if !items.isEmpty { try expect(symbol: ",") }
            let start = isAt(symbol: ":") ? nil : try parseExpression()
            if let start, !isAt(symbol: ":") {
                items.append(start)
                continue
            }
            let slice = try parseSlice(from: start)
            guard items.isEmpty, isAt(symbol: "]") else {
                throw Failure("a slice can't stand beside other indices", at: place)
            }
            advance()
            return try Expression(.slice(value, slice), place)
        }
        try expect(symbol: "]")
        let index = items.count == 1 ? items[0] : try Expression(.tuple(items), place)
        return try Expression(.item(value, index), place)
    }

    private mutating func parseSlice(from start: Expression?) throws -> Expression.Slice {
        var slice = Expression.Slice(start: start)
        func isEnd(_ parser: Self) -> Bool { parser.isAt(symbol: "]") || parser.isAt(symbol: ",") }
        try expect(symbol: ":")
        if !isAt(symbol: ":"), !isEnd(self) { slice.stop = try parseExpression() }
        if skip(symbol: ":"), !isEnd(self) { slice.step = try parseExpression() }
        return slice
    }

    mutating func parseArguments() throws -> Expression.Arguments {
        let place = current.position
        return try nested { parser in
            try parser.expect(symbol: "(")
            var arguments = Expression.Arguments()
            var isFirst = true
            while !parser.isAt(symbol: ")") {
                if !isFirst {
                    try parser.expect(symbol: ",")
                    if parser.isAt(symbol: ")") { break }
                }
                isFirst = false
                try parser.parseArgument(into: &arguments, place)
            }
            try parser.expect(symbol: ")")
            return arguments
        }
    }

    private mutating func parseArgument(into arguments: inout Expression.Arguments, _ place: TextPosition) throws {
        let isOrdered: Bool
        if skip(symbol: "*") {
            isOrdered = arguments.rest == nil && arguments.keywordRest == nil
            arguments.rest = try parseExpression()
        } else if skip(symbol: "**") {
            isOrdered = arguments.keywordRest == nil
            arguments.keywordRest = try parseExpression()
        } else if current.kind == .name, following.kind == .symbol, following.text == "=" {
            isOrdered = arguments.keywordRest == nil
            let name = current.text
            advance()
            advance()
            if arguments.keywords.contains(where: { $0.name == name }) {
                throw Failure("the argument '\(name)' is given twice", at: place)
            }
            arguments.keywords.append(Expression.Keyword(name: name, value: try parseExpression()))
        } else {
            isOrdered = arguments.rest == nil && arguments.keywordRest == nil && arguments.keywords.isEmpty
            arguments.positional.append(try parseExpression())
        }
        if !isOrdered {
            throw Failure("arguments by position come before those by name, and * and ** behind them", at: place)
        }
    }

    /// Reads the filters behind `value`.
    ///
    /// - Parameter isFirst: Whether the first comes without a `|`.
    mutating func parseFilters(of value: Expression?, isFirst: Bool = false) throws -> Expression {
        var result = value
        var isFirst = isFirst
        while isFirst || isAt(symbol: "|") {
            if !isFirst { advance() }
            isFirst = false
            let place = current.position
            let name = try parseDottedName()
            let arguments = isAt(symbol: "(") ? try parseArguments() : Expression.Arguments()
            result = try Expression(.filter(result, name, arguments), place)
        }
        guard let result else { throw unexpected("a filter") }
        return result
    }

    private mutating func parseDottedName() throws -> String {
        var name = try expectName()
        while skip(symbol: ".") { name += "." + (try expectName()) }
        return name
    }

    mutating func parseTest(_ value: Expression) throws -> Expression {
        advance()
        let isNegated = skip(name: "not")
        let place = current.position
        let name = try parseDottedName()
        var arguments = Expression.Arguments()
        if isAt(symbol: "(") {
            arguments = try parseArguments()
        } else if beginsTestArgument {
            if isAt(name: "is") { throw Failure("tests by 'is' can't be chained", at: current.position) }
            arguments.positional = [try nested { try $0.parseTestArgument() }]
        }
        let test = try Expression(.test(value, name, arguments), place)
        return isNegated ? try Expression(.not(test), place) : test
    }

    private var beginsTestArgument: Bool {
        switch current.kind {
        case .name: !["else", "or", "and"].contains(current.text)
        case .string, .integer, .number: true
        case .symbol: ["[", "{"].contains(current.text)
        default: false
        }
    }

    private mutating func parseTestArgument() throws -> Expression { try parsePostfix(try parsePrimary()) }
}
