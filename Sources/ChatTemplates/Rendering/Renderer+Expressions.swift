import Diagnostics

extension Renderer {
    func evaluate(_ expression: Expression) throws -> Value {
        try spend(1)
        switch expression.kind {
        case .literal(let literal): return value(literal)
        case .name(let name): return variable(name)
        default: return try nested { try evaluateParts(of: expression) }
        }
    }

    private func value(_ literal: Expression.Literal) -> Value {
        switch literal {
        case .none: .none
        case .boolean(let value): .boolean(value)
        case .integer(let value): .integer(value)
        case .number(let value): .number(value)
        case .string(let text): .string(text)
        }
    }

    private func evaluateParts(of expression: Expression) throws -> Value {
        switch expression.kind {
        case .literal(let literal): return value(literal)
        case .name(let name): return variable(name)
        case .list(let items):
            let values = try items.map { try evaluate($0) }
            position = expression.position
            return try .list(values)
        case .tuple(let items):
            let values = try items.map { try evaluate($0) }
            position = expression.position
            return try .tuple(values)
        case .dictionary(let pairs): return try evaluateDictionary(pairs, expression.position)
        case .unary(let operation, let operand):
            let value = try evaluate(operand)
            position = expression.position
            return try Operators.apply(operation, value)
        case .binary(let operation, let left, let right):
            return try evaluateBinary(operation, left, right, expression.position)
        case .concatenation(let items): return try evaluateConcatenation(items, expression.position)
        case .comparison(let first, let others): return try evaluateComparison(first, others, expression.position)
        case .and(let left, let right):
            let value = try evaluate(left)
            return value.isTrue ? try evaluate(right) : value
        case .or(let left, let right):
            let value = try evaluate(left)
            return value.isTrue ? value : try evaluate(right)
        case .not(let operand): return .boolean(!(try evaluate(operand).isTrue))
        case .conditional(let test, let value, let otherwise):
            if try evaluate(test).isTrue { return try evaluate(value) }
            if let otherwise { return try evaluate(otherwise) }
            return .undefined(
                Undefined("the 'if' of line \(expression.position.line) has no 'else', and its condition isn't met"))
        case .attribute(let object, let name):
            let value = try evaluate(object)
            position = expression.position
            return try attribute(name, of: value)
        case .item(let object, let index): return try evaluateItem(object, index, expression.position)
        case .slice(let object, let slice): return try evaluateSlice(object, slice, expression.position)
        case .call(let callee, let arguments): return try evaluateCall(callee, arguments, expression.position)
        case .filter(let operand, let name, let arguments):
            guard let operand else { defect("Renderer: a filter without a value") }
            let value = try evaluate(operand)
            return try applyFilter(name, value, arguments, expression.position)
        case .test(let operand, let name, let arguments):
            return try evaluateTest(operand, name, arguments, expression.position)
        }
    }

    /// Filters what a block holds.
    func evaluate(_ filter: Expression, block: String) throws -> Value {
        guard case .filter(let operand, let name, let arguments) = filter.kind else {
            defect("Renderer: a block's filter is none")
        }
        let value = try operand.map { try evaluate($0, block: block) } ?? .string(block)
        return try applyFilter(name, value, arguments, filter.position)
    }

    private func applyFilter(
        _ name: String, _ value: Value, _ arguments: Expression.Arguments, _ place: TextPosition
    ) throws -> Value {
        let arguments = try evaluate(arguments)
        position = place
        return try Library.filter(name, value, arguments, self)
    }

    private func evaluateTest(
        _ operand: Expression, _ name: String, _ arguments: Expression.Arguments, _ place: TextPosition
    ) throws -> Value {
        let value = try evaluate(operand)
        let arguments = try evaluate(arguments)
        position = place
        return .boolean(try Library.test(name, value, arguments, self))
    }

    private func evaluateDictionary(_ pairs: [Expression.Pair], _ place: TextPosition) throws -> Value {
        let members = try pairs.map { (try evaluate($0.key), try evaluate($0.value)) }
        position = place
        return .dictionary(try DictionaryValue(members))
    }

    private func evaluateBinary(
        _ operation: Expression.BinaryOperator, _ left: Expression, _ right: Expression, _ place: TextPosition
    ) throws -> Value {
        let (left, right) = (try evaluate(left), try evaluate(right))
        position = place
        return try Operators.apply(operation, left, right, self)
    }

    private func evaluateConcatenation(_ items: [Expression], _ place: TextPosition) throws -> Value {
        var result = ""
        for item in items {
            let value = try evaluate(item)
            position = item.position
            let text = try printed(value)
            try checkLength(result.utf8.count, adding: 1, text.utf8.count)
            result += text
        }
        try spend(bytes: result.utf8.count)
        return .string(result)
    }

    private func evaluateComparison(
        _ first: Expression, _ others: [Expression.Comparison], _ place: TextPosition
    ) throws -> Value {
        var left = try evaluate(first)
        for other in others {
            let right = try evaluate(other.operand)
            position = place
            if !(try Operators.holds(other.operation, left, right, self)) { return .boolean(false) }
            left = right
        }
        return .boolean(true)
    }

    private func evaluateItem(_ object: Expression, _ index: Expression, _ place: TextPosition) throws -> Value {
        let (value, index) = (try evaluate(object), try evaluate(index))
        position = place
        return try item(index, of: value)
    }

    private func evaluateSlice(_ object: Expression, _ slice: Expression.Slice, _ place: TextPosition) throws -> Value {
        let value = try evaluate(object)
        func bound(_ expression: Expression?) throws -> Int? {
            guard let expression else { return nil }
            let bound = try evaluate(expression)
            if bound.isNone { return nil }
            position = expression.position
            if case .undefined(let undefined) = bound { throw Failure(undefined.reason) }
            guard let index = bound.index else { throw Failure("a slice needs integers, not \(bound.kindName)") }
            return index
        }
        let (start, stop, step) = (try bound(slice.start), try bound(slice.stop), try bound(slice.step))
        position = place
        return try Slices.slice(value, start, stop, step ?? 1, self)
    }

    private func evaluateCall(
        _ callee: Expression, _ arguments: Expression.Arguments, _ place: TextPosition
    ) throws -> Value {
        let function = try evaluate(callee)
        let arguments = try evaluate(arguments)
        position = place
        return try call(function, arguments)
    }

    func evaluate(_ arguments: Expression.Arguments) throws -> CallArguments {
        var result = CallArguments()
        result.positional = try arguments.positional.map { try evaluate($0) }
        for keyword in arguments.keywords { result.keywords.append((keyword.name, try evaluate(keyword.value))) }
        if let rest = arguments.rest {
            let value = try evaluate(rest)
            position = rest.position
            result.positional += try self.elements(of: value)
        }
        if let rest = arguments.keywordRest {
            let value = try evaluate(rest)
            position = rest.position
            guard case .dictionary(let members) = value else {
                throw Failure("'**' needs an object, not \(value.kindName)")
            }
            for (key, value) in zip(members.keys, members.values) {
                guard let name = key.text else { throw Failure("'**' needs an object with strings for keys") }
                if result.keywords.contains(where: { sameName($0.name, name) }) {
                    throw Failure("the argument '\(name)' is given twice")
                }
                result.keywords.append((name, value))
            }
        }
        return result
    }

    /// All elements of a value.
    func elements(of value: Value) throws -> [Value] {
        switch value {
        case .list(let list):
            try spend(list.items.count / 8)
            return list.items
        case .tuple(let tuple): return tuple.items
        default: break
        }
        var sequence = try ElementSequence(of: value)
        var elements: [Value] = []
        while let element = try sequence.next() {
            try spend(1)
            elements.append(element)
        }
        return elements
    }
}
