import Glibc

extension Library {
    /// Filters of values of any kind, and of numbers.
    static let valueFilters: [String: Filter] = [
        "default": fallback("default"), "d": fallback("d"),
        "length": length("length"), "count": length("count"),
        "abs": { value, arguments, _ in
            _ = try bind(arguments, "abs", [])
            if case .number(let number) = value { return .number(abs(number)) }
            guard let integer = value.index else {
                throw Failure("the filter 'abs' needs a number, not \(value.kindName)")
            }
            return integer < 0 ? try Operators.apply(.minus, .integer(integer)) : .integer(integer)
        },
        "int": { value, arguments, _ in
            let parts = try bind(arguments, "int", ["default", "base"])
            let base = try integer(parts[1], "base", otherwise: 10)
            return try wholeNumber(value, base: base) ?? parts[0] ?? .integer(0)
        },
        "float": { value, arguments, _ in
            let otherwise = try bind(arguments, "float", ["default"])[0] ?? .number(0)
            if case .undefined(let undefined) = value { throw Failure(undefined.reason) }
            return (value.asDouble ?? value.text.flatMap(NumberText.double)).map { .number($0) } ?? otherwise
        },
        "round": round,
        "tojson": { value, arguments, renderer in
            let parts = try bind(arguments, "tojson", ["ensure_ascii", "indent", "separators", "sort_keys"])
            var dump = try JSONDump(parts)
            let text = try dump.dump(value)
            try renderer.spend(text.utf8.count / 4)
            return .string(text)
        },
        "attr": { value, arguments, renderer in
            let name = try bind(arguments, "attr", ["name"], required: 1)[0] ?? .none
            guard let text = name.text else { throw Failure("the filter 'attr' needs a name, not \(name.kindName)") }
            if case .dictionary(let dictionary) = value {
                // Members of an object are no attributes.
                return try renderer.attribute(text, of: .dictionary(DictionaryValue()))
            }
            return try renderer.attribute(text, of: value)
        },
        "items": { value, arguments, renderer in
            _ = try bind(arguments, "items", [])
            var elements: ElementSequence?
            return try renderer.newIterator("generator", depth: value.depth + 1) {
                if elements == nil { elements = try items(of: value) }
                return try elements?.next()
            }
        },
    ]

    private static func items(of value: Value) throws -> ElementSequence {
        switch value {
        case .undefined: return ElementSequence([])
        case .dictionary(let dictionary):
            return ElementSequence(try DictionaryView(kind: .items, dictionary: dictionary).elements())
        default: throw Failure("the filter 'items' needs an object, not \(value.kindName)")
        }
    }

    private static func fallback(_ name: String) -> Filter {
        { value, arguments, _ in
            let parts = try bind(arguments, name, ["default_value", "boolean"])
            let isMissing = value.isUndefined || (parts[1]?.isTrue ?? false) && !value.isTrue
            return isMissing ? parts[0] ?? .string("") : value
        }
    }

    private static func length(_ name: String) -> Filter {
        { value, arguments, _ in
            if !arguments.positional.isEmpty || !arguments.keywords.isEmpty {
                throw Failure("the filter '\(name)' takes no arguments")
            }
            return .integer(try count(value, "the filter '\(name)'"))
        }
    }

    /// What Python's `len` gives.
    static func count(_ value: Value, _ owner: String) throws -> Int {
        switch value {
        case .undefined: return 0
        case .string(let text), .markup(let text): return text.scalarCount
        case .list(let list): return list.items.count
        case .tuple(let tuple): return tuple.items.count
        case .dictionary(let dictionary): return dictionary.count
        case .view(let view): return view.dictionary.count
        case .range(let range): return range.count
        case .loop(let loop): return try loop.count()
        case .iterator:
            throw Failure("\(owner) needs a list, not what a filter gives one by one; put '| list' before it")
        default: throw Failure("\(owner) needs a list, an object or a string, not \(value.kindName)")
        }
    }

    /// What Jinja's filter `int` makes of a value; nil where it takes the default.
    private static func wholeNumber(_ value: Value, base: Int) throws -> Value? {
        func whole(_ number: Double) throws -> Value? {
            if number.isNaN { return nil }
            guard let integer = Int(exactly: number.rounded(.towardZero)) else { throw Operators.beyondIntegers }
            return .integer(integer)
        }
        switch value {
        case .undefined(let undefined): throw Failure(undefined.reason)
        case .number(let number): return try whole(number)
        case .string(let text), .markup(let text):
            if let integer = try NumberText.integer(text, base: base) { return .integer(integer) }
            guard let number = NumberText.double(text), number.isFinite else { return nil }
            return try whole(number)
        default: return value.index.map { .integer($0) }
        }
    }

    private static let round: Filter = { value, arguments, _ in
        let parts = try bind(arguments, "round", ["precision", "method"])
        let method = parts[1].map { $0.text ?? $0.kindName } ?? "common"
        guard ["common", "ceil", "floor"].contains(method) else {
            throw Failure("'method' of the filter 'round' is common, ceil or floor, not \(method.debugDescription)")
        }
        if case .undefined(let undefined) = value { throw Failure(undefined.reason) }
        guard let number = value.asDouble else {
            throw Failure("the filter 'round' needs a number, not \(value.kindName)")
        }
        let precision = try integer(parts[0], "precision", otherwise: 0)
        if method == "common" {
            if let integer = value.index { return try rounded(integer, precision) }
            return .number(try NumberText.rounded(number, precision))
        }
        guard abs(precision) <= 18 else { throw Failure("'precision' of the filter 'round' is too large") }
        let factor = pow(10, Double(abs(precision)))
        let scaled = precision < 0 ? number * (1 / factor) : number * factor
        if !scaled.isFinite { throw Failure("the filter 'round' can't round \(pythonText(of: scaled))") }
        let whole = method == "ceil" ? scaled.rounded(.up) : scaled.rounded(.down)
        return .number(precision < 0 ? whole / (1 / factor) : whole / factor)
    }

    /// Halves go to the even neighbour.
    private static func rounded(_ value: Int, _ precision: Int) throws -> Value {
        if precision >= 0 { return .integer(value) }
        if precision < -18 { return .integer(0) }
        var unit = 1
        for _ in 0..<(-precision) { unit *= 10 }
        let rest = ((value % unit) + unit) % unit
        let (below, overflows) = value.subtractingReportingOverflow(rest)
        if overflows { throw Operators.beyondIntegers }
        let isUp = rest > unit - rest || rest == unit - rest && (below / unit) % 2 != 0
        return isUp ? try Operators.checked(below.addingReportingOverflow(unit)) : .integer(below)
    }
}
