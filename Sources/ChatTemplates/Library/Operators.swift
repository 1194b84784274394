import Glibc

/// What Python's operators give.
enum Operators {
    static func apply(_ operation: Expression.UnaryOperator, _ value: Value) throws -> Value {
        if case .undefined(let undefined) = value { throw Failure(undefined.reason) }
        if case .number(let number) = value { return .number(operation == .minus ? -number : number) }
        guard let integer = value.index else {
            throw Failure("'\(operation.rawValue)' needs a number, not \(value.kindName)")
        }
        return operation == .minus ? try checked(0.subtractingReportingOverflow(integer)) : .integer(integer)
    }

    static func checked(_ result: (partialValue: Int, overflow: Bool)) throws -> Value {
        if result.overflow { throw beyondIntegers }
        return .integer(result.partialValue)
    }

    static var beyondIntegers: Failure { Failure("the result is beyond the integers of 64 bits") }

    static func apply(
        _ operation: Expression.BinaryOperator, _ left: Value, _ right: Value, _ renderer: Renderer
    ) throws -> Value {
        if operation == .remainder, left.text != nil { return try PercentFormat.format(left, right, renderer) }
        for case .undefined(let undefined) in [left, right] { throw Failure(undefined.reason) }
        if let a = left.index, let b = right.index { return try integers(operation, a, b) }
        if let a = left.asDouble, let b = right.asDouble { return .number(try numbers(operation, a, b)) }
        switch operation {
        case .add: if let sum = try sum(left, right, renderer) { return sum }
        case .multiply:
            if let count = right.index, let product = try product(left, count, renderer) { return product }
            if let count = left.index, let product = try product(right, count, renderer) { return product }
        default: break
        }
        throw Failure("'\(operation.rawValue)' can't be applied to \(left.kindName) and \(right.kindName)")
    }

    private static func sum(_ left: Value, _ right: Value, _ renderer: Renderer) throws -> Value? {
        if let a = left.text, let b = right.text {
            try renderer.spend(bytes: a.utf8.count + b.utf8.count)
            try checkLength(a.utf8.count, adding: 1, b.utf8.count)
            if !left.isMarkup, !right.isMarkup { return .string(a + b) }
            return .markup((left.isMarkup ? a : a.escapedForHTML) + (right.isMarkup ? b : b.escapedForHTML))
        }
        switch (left, right) {
        case (.list(let a), .list(let b)):
            try renderer.spend(a.items.count + b.items.count)
            return try .list(a.items + b.items)
        case (.tuple(let a), .tuple(let b)):
            try renderer.spend(a.items.count + b.items.count)
            return try .tuple(a.items + b.items)
        default: return nil
        }
    }

    private static func product(_ value: Value, _ count: Int, _ renderer: Renderer) throws -> Value? {
        func repeated(_ items: [Value]) throws -> [Value] {
            if count <= 0 || items.isEmpty { return [] }
            let (total, overflows) = items.count.multipliedReportingOverflow(by: count)
            try renderer.spend(overflows ? .max : total)
            return Array(repeatElement(items, count: count).joined())
        }
        switch value {
        case .string(let text), .markup(let text):
            let result = try text.repeated(count)
            try renderer.spend(bytes: result.utf8.count)
            return .text(result, like: value)
        case .list(let list): return try .list(try repeated(list.items))
        case .tuple(let tuple): return try .tuple(try repeated(tuple.items))
        default: return nil
        }
    }

    private static func integers(_ operation: Expression.BinaryOperator, _ a: Int, _ b: Int) throws -> Value {
        switch operation {
        case .add: return try checked(a.addingReportingOverflow(b))
        case .subtract: return try checked(a.subtractingReportingOverflow(b))
        case .multiply: return try checked(a.multipliedReportingOverflow(by: b))
        case .divide:
            if b == 0 { throw Failure("division by zero") }
            if max(a.magnitude, b.magnitude) > 1 << 53 { throw Failure("'/' of integers beyond 2^53 isn't supported") }
            return .number(Double(a) / Double(b))
        case .floorDivide, .remainder:
            if b == 0 { throw Failure("division by zero") }
            if b == -1 { return operation == .remainder ? .integer(0) : try checked(0.subtractingReportingOverflow(a)) }
            let (quotient, remainder) = a.quotientAndRemainder(dividingBy: b)
            let isBelow = remainder != 0 && (remainder < 0) != (b < 0)
            return .integer(operation == .remainder ? remainder + (isBelow ? b : 0) : quotient - (isBelow ? 1 : 0))
        case .power:
            if b < 0 { return .number(try numbers(.power, Double(a), Double(b))) }
            return .integer(try power(a, b))
        }
    }

    private static func power(_ base: Int, _ exponent: Int) throws -> Int {
        if base == 0 || base == 1 { return exponent == 0 ? 1 : base }
        if base == -1 { return exponent % 2 == 0 ? 1 : -1 }
        if exponent > 63 { throw beyondIntegers }
        var result = 1
        for _ in 0..<exponent {
            let (product, overflows) = result.multipliedReportingOverflow(by: base)
            if overflows { throw beyondIntegers }
            result = product
        }
        return result
    }

    private static func numbers(_ operation: Expression.BinaryOperator, _ a: Double, _ b: Double) throws -> Double {
        switch operation {
        case .add: return a + b
        case .subtract: return a - b
        case .multiply: return a * b
        case .divide:
            if b == 0 { throw Failure("division by zero") }
            return a / b
        case .remainder, .floorDivide:
            if b == 0 { throw Failure("division by zero") }
            return operation == .remainder ? floored(a, b).remainder : floored(a, b).quotient
        case .power:
            if a == 0, b < 0 { throw Failure("0 can't be raised to a negative power") }
            if a < 0, a.isFinite, b.isFinite, b != b.rounded(.down) {
                throw Failure("a negative number can't be raised to a power that isn't whole")
            }
            let result = pow(a, b)
            if result.isInfinite, a.isFinite, b.isFinite { throw Failure("the result is too large for a float") }
            return result
        }
    }

    /// Python's `divmod` of floats.
    private static func floored(_ a: Double, _ b: Double) -> (quotient: Double, remainder: Double) {
        var remainder = fmod(a, b)
        var quotient = (a - remainder) / b
        if remainder != 0 {
            if (b < 0) != (remainder < 0) {
                remainder += b
                quotient -= 1
            }
        } else {
            remainder = b.sign == .minus ? -0.0 : 0.0
        }
        if quotient == 0 { return (a / b < 0 || (a / b).sign == .minus ? -0.0 : 0.0, remainder) }
        let floor = quotient.rounded(.down)
        return (quotient - floor > 0.5 ? floor + 1 : floor, remainder)
    }

    static func holds(
        _ operation: Expression.ComparisonOperator, _ left: Value, _ right: Value, _ renderer: Renderer
    ) throws -> Bool {
        try renderer.spend(comparing: left, right)
        switch operation {
        case .equal: return left.isEqual(right)
        case .unequal: return !left.isEqual(right)
        case .contained: return try right.contains(left)
        case .notContained: return !(try right.contains(left))
        case .less: return try left.order(right) == .less
        case .greater: return try left.order(right) == .greater
        case .lessOrEqual: return [.less, .same].contains(try left.order(right))
        case .greaterOrEqual: return [.greater, .same].contains(try left.order(right))
        }
    }
}

extension Value {
    /// The value of any number as a float.
    var asDouble: Double? {
        if case .number(let number) = self { return number }
        return index.map(Double.init)
    }

    /// About how much work it is to go through the value.
    var size: Int {
        switch self {
        case .string(let text), .markup(let text): text.utf8.count / 32
        case .list(let list): list.items.count
        case .tuple(let tuple): tuple.items.count
        case .dictionary(let dictionary): dictionary.count
        case .view(let view): view.dictionary.count
        case .range(let range): range.count
        default: 0
        }
    }
}

extension Renderer {
    func spend(comparing a: Value, _ b: Value) throws { try spend(max(a.size, b.size)) }

    /// Counts going through a value by characters, which takes longer than to copy them.
    func spend(goingThrough value: Value) throws { try spend(value.text == nil ? value.size : value.size * 8) }

    /// What is printed of a value.
    func printed(_ value: Value) throws -> String {
        let text = try value.printed()
        if value.text == nil { try spend(text.utf8.count / 4) }
        return text
    }
}
