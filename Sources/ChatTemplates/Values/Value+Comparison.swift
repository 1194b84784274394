import JSONText

extension Value {
    /// What Python's `bool` gives.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .boolean(let value): value
        case .integer(let value): value != 0
        case .number(let value): value != 0
        case .string(let text), .markup(let text): !text.isEmpty
        case .list(let list): !list.items.isEmpty
        case .tuple(let tuple): !tuple.items.isEmpty
        case .dictionary(let dictionary): dictionary.count > 0
        case .view(let view): view.dictionary.count > 0
        case .range(let range): range.count > 0
        case .iterator, .namespace, .function, .loop: true
        }
    }

    /// Whether Python's `==` holds.
    func isEqual(_ other: Value) -> Bool {
        switch (self, other) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.list(let a), .list(let b)): return Self.areEqual(a.items, b.items)
        case (.tuple(let a), .tuple(let b)): return Self.areEqual(a.items, b.items)
        case (.dictionary(let a), .dictionary(let b)): return Self.areEqual(a, b)
        case (.view(let a), .view(let b)): return Self.areEqual(a, b)
        case (.range, .range), (.iterator, .iterator), (.namespace, .namespace), (.function, .function), (.loop, .loop):
            return (try? DictionaryKey(self)) == (try? DictionaryKey(other))
        default:
            if let a = text, let b = other.text { return sameBytes(a, b) }
            return numericOrder(other) == .same
        }
    }

    private static func areEqual(_ a: [Value], _ b: [Value]) -> Bool {
        a.count == b.count && zip(a, b).allSatisfy { $0.isEqual($1) }
    }

    private static func areEqual(_ a: DictionaryValue, _ b: DictionaryValue) -> Bool {
        a.count == b.count
            && zip(a.keys, a.values).allSatisfy { key, value in
                guard let other = try? b.value(key) else { return false }
                return value.isEqual(other)
            }
    }

    private static func areEqual(_ a: DictionaryView, _ b: DictionaryView) -> Bool {
        if a.kind == .values || b.kind == .values || a.kind != b.kind {
            return a.kind == b.kind && a.dictionary === b.dictionary
        }
        if a.kind == .items { return areEqual(a.dictionary, b.dictionary) }
        return a.dictionary.count == b.dictionary.count
            && a.dictionary.keys.allSatisfy { ((try? b.dictionary.value($0)) ?? nil) != nil }
    }

    enum Order { case less, same, greater, none }

    /// How two numbers stand to each other, exactly; nil where one is no number.
    func numericOrder(_ other: Value) -> Order? {
        if let a = index, let b = other.index { return a < b ? .less : a == b ? .same : .greater }
        switch (self, other) {
        case (.number(let a), .number(let b)): return a < b ? .less : a == b ? .same : a > b ? .greater : Order.none
        case (.number(let a), _): return other.index.map { Self.order(a, $0) }
        case (_, .number(let b)):
            guard let a = index else { return nil }
            return switch Self.order(b, a) {
            case .less: .greater
            case .greater: .less
            case let same: same
            }
        default: return nil
        }
    }

    private static func order(_ a: Double, _ b: Int) -> Order {
        if a.isNaN { return .none }
        if a >= 0x1p63 { return .greater }
        if a < -0x1p63 { return .less }
        let whole = Int(a.rounded(.down))
        if whole != b { return whole < b ? .less : .greater }
        return a == a.rounded(.down) ? .same : .greater
    }

    /// How Python orders two values.
    ///
    /// - Throws: `Failure` for kinds that have no order.
    func order(_ other: Value) throws -> Order {
        if let order = numericOrder(other) { return order }
        if let a = text, let b = other.text {
            return sameBytes(a, b) ? .same : a.precedesByCodePoints(b) ? .less : .greater
        }
        switch (self, other) {
        case (.undefined(let value), _), (_, .undefined(let value)): throw Failure(value.reason)
        case (.list(let a), .list(let b)): return try Self.order(a.items, b.items)
        case (.tuple(let a), .tuple(let b)): return try Self.order(a.items, b.items)
        default: throw Failure("\(kindName) and \(other.kindName) have no order")
        }
    }

    private static func order(_ a: [Value], _ b: [Value]) throws -> Order {
        for (a, b) in zip(a, b) where !a.isEqual(b) { return try a.order(b) }
        return a.count < b.count ? .less : a.count == b.count ? .same : .greater
    }

    /// Whether Python's `in` holds.
    func contains(_ element: Value) throws -> Bool {
        switch self {
        case .string(let text), .markup(let text):
            guard let part = element.text else {
                throw Failure("\(element.kindName) can't be in a string")
            }
            return text.firstOffset(of: part) != nil
        case .dictionary(let dictionary): return try dictionary.value(element) != nil
        case .view(let view) where view.kind == .keys: return try view.dictionary.value(element) != nil
        case .none, .boolean, .integer, .number, .namespace, .function:
            throw Failure("\(kindName) holds no elements to look for \(element.kindName) in")
        default:
            var elements = try ElementSequence(of: self)
            while let candidate = try elements.next() { if candidate.isEqual(element) { return true } }
            return false
        }
    }
}
