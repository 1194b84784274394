import Diagnostics

extension Renderer {
    /// What `value.name` gives: an attribute or a method before a member.
    func attribute(_ name: String, of value: Value) throws -> Value {
        if case .undefined(let undefined) = value {
            if name == "__class__" { return .undefined(Undefined("'__class__' can't be used in a template")) }
            throw Failure(undefined.reason)
        }
        if let own = try ownAttribute(name, of: value) { return own }
        if case .dictionary(let dictionary) = value, let member = dictionary.value(name) { return member }
        return .undefined(Undefined("\(value.kindName) has no \(noun(value)) '\(name)'"))
    }

    /// What `value[index]` gives: a member or an element before an attribute.
    func item(_ index: Value, of value: Value) throws -> Value {
        switch value {
        case .undefined(let undefined): throw Failure(undefined.reason)
        case .dictionary(let dictionary):
            if let member = (try? dictionary.value(index)) ?? nil { return member }
        case .list(let list): if let item = element(list.items, index) { return item }
        case .tuple(let tuple): if let item = element(tuple.items, index) { return item }
        case .range(let range):
            if let index = index.index, let place = place(index, range.count) { return .integer(range[place]) }
        case .string(let text), .markup(let text):
            if let index = index.index {
                try spend(bytes: text.utf8.count)
                if let scalar = character(text, index) { return .text(String(scalar), like: value) }
            }
        default: break
        }
        if let name = index.text {
            if let own = try ownAttribute(name, of: value) { return own }
            return .undefined(Undefined("\(value.kindName) has no \(noun(value)) '\(name)'"))
        }
        return .undefined(Undefined("\(value.kindName) has no element \((try? index.represented()) ?? index.kindName)"))
    }

    private func noun(_ value: Value) -> String { if case .dictionary = value { "key" } else { "attribute" } }

    private func place(_ index: Int, _ count: Int) -> Int? {
        let place = index < 0 ? index + count : index
        return place >= 0 && place < count ? place : nil
    }

    private func element(_ items: [Value], _ index: Value) -> Value? {
        index.index.flatMap { place($0, items.count) }.map { items[$0] }
    }

    private func character(_ text: String, _ index: Int) -> UnicodeScalar? {
        let scalars = text.unicodeScalars
        if index >= 0 { return scalars.dropFirst(index).first }
        return index == .min ? nil : scalars.suffix(-index).count == -index ? scalars.suffix(-index).first : nil
    }

    /// An attribute or a method that the value has whatever it holds; nil where it has none of that name.
    private func ownAttribute(_ name: String, of value: Value) throws -> Value? {
        switch value {
        case .namespace(let namespace): return namespace.attributes[try DictionaryKey(.string(name))]
        case .loop(let loop): return try loopAttribute(name, loop)
        case .function(let function): return try functionAttribute(name, function, value)
        case .tuple(let tuple) where tuple.isGroup && (name == "grouper" || name == "list"):
            return tuple.items[name == "grouper" ? 0 : 1]
        case .integer, .boolean, .number:
            if let part = Library.numberAttribute(name, of: value) { return part }
        case .range(let range):
            if let part = ["start": range.start, "stop": range.shownStop, "step": range.step][name] {
                return .integer(part)
            }
        default: break
        }
        guard let names = Library.methods(of: value) else { return nil }
        if names.changing.contains(name) || name.hasPrefix("__") && name.hasSuffix("__") && names.all.isEmpty == false {
            if name.hasPrefix("__"), case .dictionary(let dictionary) = value, dictionary.value(name) != nil {
                return nil
            }
            return .undefined(Undefined("'\(name)' of \(value.kindName) can't be used in a template"))
        }
        return names.all.contains(name) ? .function(try FunctionValue(.method(value, name))) : nil
    }

    private func loopAttribute(_ name: String, _ loop: LoopValue) throws -> Value? {
        switch name {
        case "index": .integer(loop.index0 + 1)
        case "index0": .integer(loop.index0)
        case "first": .boolean(loop.index0 == 0)
        case "last": .boolean(try loop.following() == nil)
        case "length": .integer(try loop.count())
        case "revindex": .integer(try loop.count() - loop.index0)
        case "revindex0": .integer(try loop.count() - loop.index0 - 1)
        case "depth": .integer(loop.depth0 + 1)
        case "depth0": .integer(loop.depth0)
        case "previtem":
            loop.index0 == 0 ? .undefined(Undefined("there is no element before the first")) : loop.previous ?? .none
        case "nextitem": try loop.following() ?? .undefined(Undefined("there is no element behind the last"))
        case "cycle", "changed": .function(try FunctionValue(.method(.loop(loop), name)))
        default: nil
        }
    }

    private func functionAttribute(_ name: String, _ function: FunctionValue, _ value: Value) throws -> Value? {
        switch (function.kind, name) {
        case (.macro(let macro, _), "name"): return macro.name.map { .string($0) } ?? Value.none
        case (.macro(let macro, _), "arguments"): return try .tuple(macro.parameterNames.map { .string($0) })
        case (.macro(let macro, _), "catch_kwargs"): return .boolean(macro.usesKeywords)
        case (.macro(let macro, _), "catch_varargs"): return .boolean(macro.usesVariables)
        case (.macro(let macro, _), "caller"): return .boolean(macro.usesCaller)
        case (.cycler(let state), "current"): return state.items[state.position]
        case (.cycler, "next"), (.cycler, "reset"): return .function(try FunctionValue(.method(value, name)))
        case (.joiner(let state), "sep"): return state.separator
        case (.joiner(let state), "used"): return .boolean(state.wasUsed)
        case (.builtin("dict"), "fromkeys"): return .function(try FunctionValue(.method(value, name)))
        default: return nil
        }
    }
}
