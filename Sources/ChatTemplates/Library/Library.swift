import Diagnostics

/// What templates can use: functions, filters, tests and methods.
enum Library {
    typealias Filter = @Sendable (Value, CallArguments, Renderer) throws -> Value
    typealias Test = @Sendable (Value, CallArguments, Renderer) throws -> Bool

    /// The functions that templates know without being given them.
    static let functions: Set<String> = [
        "range", "dict", "namespace", "cycler", "joiner", "lipsum", "raise_exception", "strftime_now",
    ]

    /// Filters of Jinja's that no template for chats has a use for.
    private static let unsupportedFilters: Set<String> = [
        "filesizeformat", "pprint", "random", "striptags", "urlize", "wordwrap", "xmlattr",
    ]

    private static func unknownFilter(_ name: String) -> String {
        unsupportedFilters.contains(name) ? "the filter '\(name)' isn't supported" : "the filter '\(name)' isn't known"
    }

    static func checkFilter(_ name: String, at place: TextPosition) throws {
        if filters[name] == nil { throw Failure(unknownFilter(name), at: place) }
    }

    static func checkTest(_ name: String, at place: TextPosition) throws {
        if tests[name] == nil { throw Failure("the test '\(name)' isn't known", at: place) }
    }

    static func filter(_ name: String, _ value: Value, _ arguments: CallArguments, _ renderer: Renderer) throws -> Value
    {
        guard let filter = filters[name] else { throw Failure(unknownFilter(name)) }
        try renderer.spend(goingThrough: value)
        return try filter(value, arguments, renderer)
    }

    static func test(_ name: String, _ value: Value, _ arguments: CallArguments, _ renderer: Renderer) throws -> Bool {
        guard let test = tests[name] else { throw Failure("the test '\(name)' isn't known") }
        return try test(value, arguments, renderer)
    }

    /// What `arguments` give to a filter's parameters.
    static func bind(
        _ arguments: CallArguments, _ filter: String, _ names: [String], required: Int = 0
    ) throws -> [Value?] {
        try arguments.bound(to: names, required: required, of: "the filter '\(filter)'")
    }

    static func integer(_ value: Value?, _ name: String, otherwise: Int) throws -> Int {
        guard let value else { return otherwise }
        if case .undefined(let undefined) = value { throw Failure(undefined.reason) }
        guard let integer = value.index else { throw Failure("'\(name)' needs an integer, not \(value.kindName)") }
        return integer
    }

    /// A switch that Python wants an integer for.
    static func flag(_ value: Value?, _ name: String) throws -> Bool { try integer(value, name, otherwise: 0) != 0 }

    /// The text of a string, or what is printed of another value, of the same kind.
    static func softText(_ value: Value) throws -> Value { value.text == nil ? .string(try value.printed()) : value }

    static func mapText(_ value: Value, _ body: (String) throws -> String) throws -> Value {
        let value = try softText(value)
        return .text(try body(value.text ?? ""), like: value)
    }
}
