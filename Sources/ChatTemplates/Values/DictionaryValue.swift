import JSONText

/// An object whose members have an order; keys are equal where Python's are.
final class DictionaryValue {
    private(set) var keys: [Value] = []
    private(set) var values: [Value] = []
    private var places: [DictionaryKey: Int] = [:]
    private(set) var depth = 1

    var count: Int { keys.count }

    init() {}

    init(_ members: some Sequence<(Value, Value)>) throws {
        for (key, value) in members { try set(key, value) }
        try finish()
    }

    /// The attributes of a namespace.
    init(_ namespace: NamespaceValue) throws {
        for name in namespace.names { try set(name, namespace.attributes[try DictionaryKey(name)] ?? .none) }
        try finish()
    }

    /// Only while the object is made.
    func set(_ key: Value, _ value: Value) throws {
        let place = try DictionaryKey(key)
        if let index = places[place] {
            values[index] = value
        } else {
            places[place] = keys.count
            keys.append(key)
            values.append(value)
        }
    }

    func finish() throws {
        depth = max(try Value.depth(around: values), try Value.depth(around: keys))
    }

    /// - Throws: `Failure` for a key that no object can have.
    func value(_ key: Value) throws -> Value? { places[try DictionaryKey(key)].map { values[$0] } }

    func value(_ key: String) -> Value? { places[.string(ByteString(key))].map { values[$0] } }

    func value(_ key: DictionaryKey) -> Value? { places[key].map { values[$0] } }
}

/// What makes two keys the same.
enum DictionaryKey: Hashable {
    case none
    case undefined
    /// Booleans and whole floats too.
    case integer(Int)
    case number(Double)
    case string(ByteString)
    case tuple([DictionaryKey])
    case range(Int, Int, Int)
    case object(ObjectIdentifier)

    init(_ value: Value) throws {
        switch value {
        case .undefined: self = .undefined
        case .none: self = .none
        case .boolean(let value): self = .integer(value ? 1 : 0)
        case .integer(let value): self = .integer(value)
        case .number(let value): self = Int(exactly: value).map { .integer($0) } ?? .number(value)
        case .string(let text), .markup(let text): self = .string(ByteString(text))
        case .tuple(let tuple): self = .tuple(try tuple.items.map { try DictionaryKey($0) })
        case .range(let range):
            let last = range.count > 1 ? range[1] - range.start : 0
            self = .range(range.count, range.count > 0 ? range.start : 0, last)
        case .iterator(let iterator): self = .object(ObjectIdentifier(iterator))
        case .namespace(let namespace): self = .object(ObjectIdentifier(namespace))
        case .function(let function): self = .object(ObjectIdentifier(function))
        case .loop(let loop): self = .object(ObjectIdentifier(loop))
        case .list, .dictionary, .view: throw Failure("\(value.kindName) can't be a key")
        }
    }
}
