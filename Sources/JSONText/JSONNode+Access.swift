public import Diagnostics

/// Typed reads; what is missing or of another kind is a `Problem` with file, position and key.
extension JSONNode {
    /// The value as a message shows it: `"x"`, `12`, `null`, `an array`, `an object`.
    public var summary: String {
        switch content {
        case .array: "an array"
        case .object: "an object"
        case .string(let text) where text.utf8.count > 60:
            JSONValue.string(String(text.prefix(50)) + "…").text(.compact)
        default: plain.text(.compact)
        }
    }

    /// A problem about this value.
    public func problem(_ message: String) -> Problem {
        Problem(message, file: file, position: position, key: path)
    }

    public var isNull: Bool { if case .null = content { true } else { false } }

    public func asInteger() throws -> Int {
        guard case .integer(let value) = content else { throw problem("expected an integer, got \(summary)") }
        return value
    }

    /// The value of any number.
    public func asNumber() throws -> Double {
        switch content {
        case .number(let value): return value
        case .integer(let value): return Double(value)
        default: throw problem("expected a number, got \(summary)")
        }
    }

    public func asBoolean() throws -> Bool {
        guard case .boolean(let value) = content else { throw problem("expected true or false, got \(summary)") }
        return value
    }

    public func asString() throws -> String {
        guard case .string(let value) = content else { throw problem("expected a string, got \(summary)") }
        return value
    }

    /// The array's values; their `path` is this one's with the index: `layers[2]`.
    public func asArray() throws -> [JSONNode] {
        guard case .array(let values) = content else { throw problem("expected an array, got \(summary)") }
        return values.enumerated().map { $1.replacing(path: "\(path ?? "")[\($0)]") }
    }

    /// The object's members in the order of the file; their values' `path` is this one's with the key.
    public func asObject() throws -> [JSONMember] {
        guard case .object(let members) = content else { throw problem("expected an object, got \(summary)") }
        return members.map {
            JSONMember(key: $0.key, keyPosition: $0.keyPosition, value: $0.value.replacing(path: joined($0.key)))
        }
    }

    private func joined(_ key: String) -> String { path.map { "\($0).\(key)" } ?? key }

    /// The value of `key`, compared by bytes; nil where it is absent, or this is no object.
    public func member(_ key: String) -> JSONNode? {
        guard case .object(let members) = content else { return nil }
        for member in members where sameBytes(member.key, key) { return member.value.replacing(path: joined(key)) }
        return nil
    }

    /// The value of `key`; nil where it is absent or null.
    public func optional(_ key: String) throws -> JSONNode? {
        guard case .object = content else { throw problem("expected an object, got \(summary)") }
        guard let value = member(key), !value.isNull else { return nil }
        return value
    }

    /// The value of `key`, which must be there.
    public func required(_ key: String) throws -> JSONNode {
        guard let value = try optional(key) else {
            if let null = member(key) { throw null.problem("expected a value, got null") }
            throw Problem("missing", file: file, position: position, key: joined(key))
        }
        return value
    }

    public func integer(_ key: String) throws -> Int { try required(key).asInteger() }
    public func number(_ key: String) throws -> Double { try required(key).asNumber() }
    public func boolean(_ key: String) throws -> Bool { try required(key).asBoolean() }
    public func string(_ key: String) throws -> String { try required(key).asString() }
    public func array(_ key: String) throws -> [JSONNode] { try required(key).asArray() }
    public func object(_ key: String) throws -> [JSONMember] { try required(key).asObject() }

    /// The value of `key`, or nil where it is absent or null.
    public func optionalInteger(_ key: String) throws -> Int? { try optional(key)?.asInteger() }
    public func optionalNumber(_ key: String) throws -> Double? { try optional(key)?.asNumber() }
    public func optionalBoolean(_ key: String) throws -> Bool? { try optional(key)?.asBoolean() }
    public func optionalString(_ key: String) throws -> String? { try optional(key)?.asString() }
    public func optionalArray(_ key: String) throws -> [JSONNode]? { try optional(key)?.asArray() }
    public func optionalObject(_ key: String) throws -> [JSONMember]? { try optional(key)?.asObject() }
}

/// Whether two strings have the same UTF-8 bytes; `==` also holds for other spellings of the same characters.
public func sameBytes(_ a: String, _ b: String) -> Bool {
    a.utf8.count == b.utf8.count && a.utf8.elementsEqual(b.utf8)
}
