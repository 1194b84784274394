import Diagnostics
import Glibc

extension Library {
    static func call(_ name: String, _ arguments: CallArguments, _ renderer: Renderer) throws -> Value {
        switch name {
        case "range": return try range(arguments)
        case "dict": return .dictionary(try dictionary(arguments, "'dict'", renderer))
        case "namespace": return try namespace(arguments, renderer)
        case "cycler":
            if !arguments.keywords.isEmpty || arguments.positional.isEmpty {
                throw Failure("'cycler' needs at least one value")
            }
            return .function(try FunctionValue(.cycler(CyclerState(arguments.positional))))
        case "joiner":
            let separator = try arguments.bound(to: ["sep"], of: "'joiner'")[0] ?? .string(", ")
            return .function(try FunctionValue(.joiner(JoinerState(separator))))
        case "raise_exception":
            let message = try arguments.bound(to: ["message"], required: 1, of: "'raise_exception'")[0] ?? .none
            throw Failure(try message.printed())
        case "strftime_now":
            let format = try arguments.bound(to: ["format"], required: 1, of: "'strftime_now'")[0] ?? .none
            guard let text = format.text else { throw Failure("'strftime_now' needs a string, not \(format.kindName)") }
            return .string(try formattedTime(renderer.time, text))
        default: throw Failure("the function '\(name)' isn't supported")
        }
    }

    private static func range(_ arguments: CallArguments) throws -> Value {
        let values = arguments.positional
        if !arguments.keywords.isEmpty || values.isEmpty || values.count > 3 {
            throw Failure("'range' takes one to three integers")
        }
        let numbers = try values.map { try integer($0, "range", otherwise: 0) }
        let (start, stop) = numbers.count == 1 ? (0, numbers[0]) : (numbers[0], numbers[1])
        return .range(try RangeValue.checked(start, stop, numbers.count == 3 ? numbers[2] : 1))
    }

    /// What Python's `dict` makes of its arguments.
    private static func dictionary(
        _ arguments: CallArguments, _ owner: String, _ renderer: Renderer
    ) throws -> DictionaryValue {
        let result = DictionaryValue()
        if arguments.positional.count > 1 { throw Failure("\(owner) takes at most one argument without a name") }
        if let source = arguments.positional.first {
            if case .undefined(let undefined) = source { throw Failure(undefined.reason) }
            if case .dictionary(let members) = source {
                for (key, value) in zip(members.keys, members.values) { try result.set(key, value) }
            } else {
                for pair in try renderer.elements(of: source) {
                    let parts = try renderer.elements(of: pair)
                    if parts.count != 2 { throw Failure("\(owner) needs an object or pairs of keys and values") }
                    try result.set(parts[0], parts[1])
                }
            }
        }
        for (name, value) in arguments.keywords { try result.set(.string(name), value) }
        try renderer.spend(result.count)
        try result.finish()
        return result
    }

    private static func namespace(_ arguments: CallArguments, _ renderer: Renderer) throws -> Value {
        let attributes = try dictionary(arguments, "'namespace'", renderer)
        let namespace = try renderer.newNamespace()
        for (key, value) in zip(attributes.keys, attributes.values) {
            guard let name = key.text else { throw Failure("'namespace' needs strings as names") }
            try renderer.set(name, of: namespace, to: value)
        }
        return .namespace(namespace)
    }

    private static func formattedTime(_ seconds: Int, _ format: String) throws -> String {
        if format.utf8.count > 1_000 { throw Failure("the format of 'strftime_now' is too long") }
        var (time, parts) = (time_t(seconds), tm())
        localtime_r(&time, &parts)
        // A text that isn't empty is told from one that didn't fit.
        var buffer = [CChar](repeating: 0, count: 16_384)
        let length = strftime(&buffer, buffer.count, "x" + format, &parts)
        if length == 0 { throw Failure("'strftime_now' can't make a date of \(format.debugDescription)") }
        return String(decoding: buffer[1..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
