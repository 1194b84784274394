extension Library {
    static let tests: [String: Test] = {
        var tests: [String: Test] = [
            "defined": kind("defined") { !$0.isUndefined },
            "undefined": kind("undefined") { $0.isUndefined },
            "none": kind("none") { $0.isNone },
            "boolean": kind("boolean") { if case .boolean = $0 { true } else { false } },
            "true": kind("true") { if case .boolean(true) = $0 { true } else { false } },
            "false": kind("false") { if case .boolean(false) = $0 { true } else { false } },
            "integer": kind("integer") { if case .integer = $0 { true } else { false } },
            "float": kind("float") { if case .number = $0 { true } else { false } },
            "number": kind("number") { $0.asDouble != nil },
            "string": kind("string") { $0.text != nil },
            "mapping": kind("mapping") { if case .dictionary = $0 { true } else { false } },
            "escaped": kind("escaped") { $0.isMarkup },
            "iterable": kind("iterable", isIterable),
            "sequence": kind("sequence", isSequence),
            "callable": kind("callable", isCallable),
            "lower": kind("lower") { try $0.printed().isPythonLower },
            "upper": kind("upper") { try $0.printed().isPythonUpper },
            "filter": kind("filter") { $0.text.map { filters[$0] != nil } ?? false },
            "test": kind("test") { $0.text.map { Library.tests[$0] != nil } ?? false },
            "odd": parity("odd", 1), "even": parity("even", 0),
            "divisibleby": pair("divisibleby", "num") { try remainder($0, $1, is: 0, $2) },
            "sameas": pair("sameas", "other") { value, other, _ in isSame(value, other) },
            "in": pair("in", "seq") { value, other, renderer in
                try Operators.holds(.contained, value, other, renderer)
            },
        ]
        let comparisons: [(Expression.ComparisonOperator, [String])] = [
            (.equal, ["==", "eq", "equalto"]), (.unequal, ["!=", "ne"]), (.greater, [">", "gt", "greaterthan"]),
            (.greaterOrEqual, [">=", "ge"]), (.less, ["<", "lt", "lessthan"]), (.lessOrEqual, ["<=", "le"]),
        ]
        for (operation, names) in comparisons {
            for name in names {
                tests[name] = pair(name, "other") { try Operators.holds(operation, $0, $1, $2) }
            }
        }
        return tests
    }()

    private static func kind(_ name: String, _ body: @escaping @Sendable (Value) throws -> Bool) -> Test {
        { value, arguments, _ in
            _ = try arguments.bound(to: [], of: "the test '\(name)'")
            return try body(value)
        }
    }

    private static func parity(_ name: String, _ expected: Int) -> Test {
        { value, arguments, renderer in
            _ = try arguments.bound(to: [], of: "the test '\(name)'")
            return try remainder(value, .integer(2), is: expected, renderer)
        }
    }

    private static func pair(
        _ name: String, _ parameter: String, _ body: @escaping @Sendable (Value, Value, Renderer) throws -> Bool
    ) -> Test {
        { value, arguments, renderer in
            let other = try arguments.bound(to: [parameter], required: 1, of: "the test '\(name)'")[0] ?? .none
            return try body(value, other, renderer)
        }
    }

    private static func isIterable(_ value: Value) -> Bool {
        switch value {
        case .undefined, .string, .markup, .list, .tuple, .dictionary, .view, .range, .iterator, .loop: true
        default: false
        }
    }

    private static func isSequence(_ value: Value) -> Bool {
        switch value {
        case .undefined, .string, .markup, .list, .tuple, .dictionary, .range: true
        default: false
        }
    }

    private static func isCallable(_ value: Value) -> Bool {
        switch value {
        case .undefined, .loop: true
        case .function(let function): function.isCallable
        default: false
        }
    }

    private static func remainder(
        _ value: Value, _ divisor: Value, is expected: Int, _ renderer: Renderer
    ) throws -> Bool {
        try Operators.apply(.remainder, value, divisor, renderer).isEqual(.integer(expected))
    }

    /// Whether two values are one, as far as values of that kind are one in Python.
    private static func isSame(_ a: Value, _ b: Value) -> Bool {
        switch (a, b) {
        case (.none, .none): true
        case (.boolean(let a), .boolean(let b)): a == b
        case (.integer(let a), .integer(let b)): a == b
        case (.string, .string): a.isEqual(b)
        case (.list(let a), .list(let b)): a === b
        case (.tuple(let a), .tuple(let b)): a === b
        case (.dictionary(let a), .dictionary(let b)): a === b
        case (.undefined(let a), .undefined(let b)): a === b
        case (.namespace, .namespace), (.iterator, .iterator), (.function, .function), (.loop, .loop): a.isEqual(b)
        default: false
        }
    }
}
