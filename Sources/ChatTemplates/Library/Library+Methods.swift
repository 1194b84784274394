extension Library {
    struct MethodNames {
        let all: Set<String>
        /// Those that change the value, which the sandbox forbids.
        var changing: Set<String> = []
    }

    private static let stringMethods = MethodNames(
        all: Set(
            """
            capitalize casefold center count encode endswith expandtabs find format format_map index isalnum isalpha isascii \
            isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip \
            maketrans partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines \
            startswith strip swapcase title translate upper zfill
            """.split(separator: " ").map(String.init)))
    private static let listMethods = MethodNames(
        all: ["copy", "count", "index"],
        changing: ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"])
    private static let dictionaryMethods = MethodNames(
        all: ["copy", "fromkeys", "get", "items", "keys", "values"],
        changing: ["clear", "pop", "popitem", "setdefault", "update"])
    private static let sequenceMethods = MethodNames(all: ["count", "index"])
    private static let integerMethods = MethodNames(
        all: ["as_integer_ratio", "bit_count", "bit_length", "conjugate", "from_bytes", "to_bytes"])
    private static let numberMethods = MethodNames(
        all: ["as_integer_ratio", "conjugate", "fromhex", "hex", "is_integer"])

    /// The methods that values of a kind have; nil for kinds without any.
    static func methods(of value: Value) -> MethodNames? {
        switch value {
        case .string, .markup: stringMethods
        case .list: listMethods
        case .dictionary: dictionaryMethods
        case .tuple, .range: sequenceMethods
        case .integer, .boolean: integerMethods
        case .number: numberMethods
        default: nil
        }
    }

    static func numberAttribute(_ name: String, of value: Value) -> Value? {
        switch (name, value) {
        case ("real", .boolean), ("numerator", .boolean): .integer(value.index ?? 0)
        case ("real", _), ("numerator", .integer): value
        case ("imag", .number): .number(0)
        case ("imag", _): .integer(0)
        case ("denominator", .integer), ("denominator", .boolean): .integer(1)
        default: nil
        }
    }

    static func call(
        _ name: String, of receiver: Value, _ arguments: CallArguments, _ renderer: Renderer
    ) throws -> Value {
        try renderer.spend(goingThrough: receiver)
        switch receiver {
        case .string(let text), .markup(let text):
            return try callString(name, text, receiver, arguments, renderer)
        case .list(let list): return try callSequence(name, list.items, receiver, arguments, renderer)
        case .tuple(let tuple): return try callSequence(name, tuple.items, receiver, arguments, renderer)
        case .range(let range): return try callSequence(name, range.elements, receiver, arguments, renderer)
        case .dictionary(let dictionary): return try callDictionary(name, dictionary, receiver, arguments, renderer)
        case .loop(let loop): return try callLoop(name, loop, arguments, renderer)
        case .function(let function): return try callFunction(name, function, arguments, renderer)
        case .integer, .boolean, .number: return try callNumber(name, receiver, arguments)
        default: throw unsupported(name, receiver)
        }
    }

    private static func unsupported(_ name: String, _ receiver: Value) -> Failure {
        Failure("the method '\(name)' of \(receiver.kindName) isn't supported")
    }

    private static func callNumber(_ name: String, _ receiver: Value, _ arguments: CallArguments) throws -> Value {
        if ["conjugate", "is_integer", "bit_length", "bit_count"].contains(name) {
            _ = try arguments.bound(to: [], of: "the method '\(name)'")
        }
        switch (name, receiver) {
        case ("conjugate", .boolean): return .integer(receiver.index ?? 0)
        case ("conjugate", _): return receiver
        case ("is_integer", .number(let number)): return .boolean(number.isFinite && number == number.rounded())
        case ("bit_length", _):
            return .integer(Int.bitWidth - (receiver.index ?? 0).magnitude.leadingZeroBitCount)
        case ("bit_count", _): return .integer((receiver.index ?? 0).magnitude.nonzeroBitCount)
        default: throw unsupported(name, receiver)
        }
    }

    private static func callSequence(
        _ name: String, _ items: [Value], _ receiver: Value, _ arguments: CallArguments, _ renderer: Renderer
    ) throws -> Value {
        let owner = "the method '\(name)'"
        switch name {
        case "copy":
            _ = try arguments.bound(to: [], of: owner)
            return receiver
        case "count":
            let wanted = try arguments.bound(to: ["value"], required: 1, of: owner)[0] ?? .none
            return .integer(items.count { $0.isEqual(wanted) })
        case "index":
            let parts = try arguments.bound(to: ["value", "start", "stop"], required: 1, of: owner)
            let start = clamp(try integer(parts[1], "start", otherwise: 0), items.count)
            let stop = clamp(try integer(parts[2], "stop", otherwise: .max), items.count)
            let wanted = parts[0] ?? .none
            guard let place = (start..<max(start, stop)).first(where: { items[$0].isEqual(wanted) }) else {
                throw Failure("\((try? wanted.represented()) ?? wanted.kindName) is not in \(receiver.kindName)")
            }
            return .integer(place)
        default: throw unsupported(name, receiver)
        }
    }

    /// A bound of a slice as a place within `count` elements.
    static func clamp(_ bound: Int, _ count: Int) -> Int {
        bound < 0 ? max(0, bound + count) : min(bound, count)
    }

    private static func callDictionary(
        _ name: String, _ dictionary: DictionaryValue, _ receiver: Value, _ arguments: CallArguments,
        _ renderer: Renderer
    ) throws -> Value {
        let owner = "the method '\(name)'"
        switch name {
        case "get":
            if !arguments.keywords.isEmpty { throw Failure("\(owner) takes arguments by place only") }
            let parts = try arguments.bound(to: ["key", "default"], required: 1, of: owner)
            return try dictionary.value(parts[0] ?? .none) ?? parts[1] ?? .none
        case "items", "keys", "values":
            _ = try arguments.bound(to: [], of: owner)
            guard let kind = DictionaryView.Kind(rawValue: name) else { throw unsupported(name, receiver) }
            return .view(DictionaryView(kind: kind, dictionary: dictionary))
        case "copy":
            _ = try arguments.bound(to: [], of: owner)
            return receiver
        case "fromkeys": return try fromKeys(arguments, renderer)
        default: throw unsupported(name, receiver)
        }
    }

    private static func fromKeys(_ arguments: CallArguments, _ renderer: Renderer) throws -> Value {
        let parts = try arguments.bound(to: ["iterable", "value"], required: 1, of: "the method 'fromkeys'")
        let keys = try renderer.elements(of: parts[0] ?? .none)
        return .dictionary(try DictionaryValue(keys.map { ($0, parts[1] ?? .none) }))
    }

    private static func callLoop(
        _ name: String, _ loop: LoopValue, _ arguments: CallArguments, _ renderer: Renderer
    ) throws -> Value {
        if let (keyword, _) = arguments.keywords.first { throw Failure("'loop.\(name)' has no argument '\(keyword)'") }
        let values = arguments.positional
        if name == "cycle" {
            if values.isEmpty { throw Failure("'loop.cycle' needs values to go through") }
            return values[max(0, loop.index0) % values.count]
        }
        let isSame = loop.lastChange.map { last in
            last.count == values.count && zip(last, values).allSatisfy { $0.isEqual($1) }
        }
        if isSame == true { return .boolean(false) }
        loop.lastChange = values
        return .boolean(true)
    }

    private static func callFunction(
        _ name: String, _ function: FunctionValue, _ arguments: CallArguments, _ renderer: Renderer
    ) throws -> Value {
        switch function.kind {
        case .cycler(let state):
            _ = try arguments.bound(to: [], of: "the method '\(name)'")
            let current = state.items[state.position]
            state.position = name == "next" ? (state.position + 1) % state.items.count : 0
            return name == "next" ? current : .none
        case .builtin("dict"): return try fromKeys(arguments, renderer)
        default: throw unsupported(name, .function(function))
        }
    }
}
