import Diagnostics
import JSONText

/// What a call is given.
struct CallArguments {
    var positional: [Value] = []
    var keywords: [(name: String, value: Value)] = []

    /// The value for each of `names`, by place or by name; nil for those that aren't given.
    ///
    /// - Throws: `Failure` for arguments that there are no names for, and where one of the first `required` is missing.
    func bound(to names: [String], required: Int = 0, of owner: @autoclosure () -> String) throws -> [Value?] {
        if positional.count > names.count {
            let limit =
                names.isEmpty ? "no arguments" : names.count == 1 ? "one argument" : "at most \(names.count) arguments"
            throw Failure("\(owner()) takes \(limit), not \(positional.count + keywords.count)")
        }
        var values: [Value?] = positional
        values += Array(repeating: nil, count: names.count - positional.count)
        for (name, value) in keywords {
            guard let index = names.firstIndex(where: { sameName($0, name) }) else {
                throw Failure("\(owner()) has no argument '\(name)'")
            }
            if values[index] != nil { throw Failure("\(owner()) is given the argument '\(name)' twice") }
            values[index] = value
        }
        if let missing = values.prefix(required).firstIndex(where: { $0 == nil }) {
            throw Failure("\(owner()) needs the argument '\(names[missing])'")
        }
        return values
    }
}

func sameName(_ a: String, _ b: String) -> Bool { sameBytes(a, b) }

extension Renderer {
    func call(_ callee: Value, _ arguments: CallArguments) throws -> Value {
        switch callee {
        case .function(let function):
            switch function.kind {
            case .macro(let macro, let around): return .string(try call(macro, around, arguments))
            case .builtin(let name): return try Library.call(name, arguments, self)
            case .method(let receiver, let name): return try Library.call(name, of: receiver, arguments, self)
            case .joiner(let joiner):
                _ = try arguments.bound(to: [], of: "a joiner")
                defer { joiner.wasUsed = true }
                return joiner.wasUsed ? joiner.separator : .string("")
            case .cycler: throw Failure("a cycler can't be called; use its method 'next'")
            }
        case .loop(let loop):
            guard let recursion = loop.recursion else {
                throw Failure("'loop' can only be called where the loop is marked 'recursive'")
            }
            let elements = try arguments.bound(to: ["iterable"], required: 1, of: "'loop'")[0] ?? .none
            return .string(
                try repeatLoop(recursion.loop, over: elements, recursion.activation, depth: loop.depth0 + 1))
        case .undefined(let undefined): throw Failure(undefined.reason)
        default: throw Failure("\(callee.kindName) can't be called")
        }
    }

    /// What a macro writes.
    func call(_ macro: Statement.Macro, _ around: Activation, _ arguments: CallArguments) throws -> String {
        let function = program.frames[macro.frame].function
        let inside = Activation(slotCount: program.slotCounts[function], parent: around)
        let values = try bind(arguments, macro)
        let (outer, outerFrame, place) = (activation, frame, position)
        activation = inside
        defer { (activation, frame) = (outer, outerFrame) }
        return try nested {
            enterFrame(macro.frame)
            for (name, value) in values.special { setVariable(name, value) }
            for (index, parameter) in macro.parameters.enumerated() {
                // A default may use the parameters before it.
                setVariable(parameter, try values.parameters[index] ?? defaultValue(index, macro))
            }
            let text = try captured { _ = try run(macro.body) }
            position = place
            return text
        }
    }

    private func defaultValue(_ index: Int, _ macro: Statement.Macro) throws -> Value {
        let place = index - (macro.parameters.count - macro.defaults.count)
        if place >= 0 { return try evaluate(macro.defaults[place]) }
        return .undefined(Undefined("the argument '\(macro.parameterNames[index])' wasn't given"))
    }

    private func bind(
        _ arguments: CallArguments, _ macro: Statement.Macro
    ) throws -> (parameters: [Value?], special: [(Int, Value)]) {
        let name = macro.name.map { "the macro '\($0)'" } ?? "the call block"
        let count = macro.parameters.count
        var keywords = arguments.keywords
        var parameters: [Value?] = Array(arguments.positional.prefix(count))
        for parameter in macro.parameterNames.dropFirst(parameters.count) {
            let index = keywords.firstIndex { sameName($0.name, parameter) }
            parameters.append(index.map { keywords.remove(at: $0).value })
        }
        var special: [(Int, Value)] = []
        if macro.usesCaller {
            let index = keywords.firstIndex { $0.name == "caller" }
            let caller = index.map { keywords.remove(at: $0).value }
            special.append(
                (
                    SpecialName.caller,
                    caller.flatMap { $0.isNone ? nil : $0 }
                        ?? .undefined(Undefined("there is no caller, because the macro wasn't called by 'call'"))
                ))
        }
        if macro.usesKeywords {
            special.append(
                (SpecialName.keywords, .dictionary(try DictionaryValue(keywords.map { (.string($0.name), $0.value) }))))
        } else if let (unknown, _) = keywords.first {
            let isTwice = macro.parameterNames.contains { sameName($0, unknown) }
            throw Failure(
                unknown == "caller"
                    ? "\(name) is called by 'call', but doesn't use 'caller()'"
                    : isTwice
                        ? "\(name) is given the argument '\(unknown)' twice" : "\(name) has no argument '\(unknown)'")
        }
        if macro.usesVariables {
            special.append((SpecialName.variables, try .tuple(Array(arguments.positional.dropFirst(count)))))
        } else if arguments.positional.count > count {
            throw Failure("\(name) takes at most \(count) arguments, not \(arguments.positional.count)")
        }
        return (parameters, special)
    }
}
