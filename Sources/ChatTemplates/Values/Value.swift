/// A value of a template, which behaves as Python's of the same kind do.
enum Value {
    case undefined(Undefined)
    case none
    case boolean(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    /// Text that was escaped, or said to be: what is joined to it by `+` or `%` is escaped.
    case markup(String)
    case list(ListValue)
    case tuple(TupleValue)
    case dictionary(DictionaryValue)
    case view(DictionaryView)
    case range(RangeValue)
    case iterator(IteratorValue)
    case namespace(NamespaceValue)
    case function(FunctionValue)
    case loop(LoopValue)

    /// The text of a string of either kind.
    var text: String? {
        switch self {
        case .string(let text), .markup(let text): text
        default: nil
        }
    }

    var isMarkup: Bool { if case .markup = self { true } else { false } }
    var isUndefined: Bool { if case .undefined = self { true } else { false } }
    var isNone: Bool { if case .none = self { true } else { false } }

    /// The value as an integer where Python takes it for one, as it does booleans.
    var index: Int? {
        switch self {
        case .integer(let value): value
        case .boolean(let value): value ? 1 : 0
        default: nil
        }
    }

    /// How deep lists and the like nest in the value.
    var depth: Int {
        switch self {
        case .list(let list): list.depth
        case .tuple(let tuple): tuple.depth
        case .dictionary(let dictionary): dictionary.depth
        case .view(let view): view.dictionary.depth
        case .iterator(let iterator): iterator.depth
        case .function(let function): function.depth
        case .loop(let loop): loop.depth
        default: 0
        }
    }

    /// What messages call a value of this kind.
    var kindName: String {
        switch self {
        case .undefined: "an undefined value"
        case .none: "none"
        case .boolean: "a boolean"
        case .integer: "an integer"
        case .number: "a float"
        case .string, .markup: "a string"
        case .list: "a list"
        case .tuple: "a tuple"
        case .dictionary: "an object"
        case .view: "a view of an object"
        case .range: "a range"
        case .iterator: "an iterator"
        case .namespace: "a namespace"
        case .function(let function): function.kindName
        case .loop: "a loop"
        }
    }

    static func list(_ items: [Value]) throws -> Value { .list(try ListValue(items)) }
    static func tuple(_ items: [Value]) throws -> Value { .tuple(try TupleValue(items)) }

    /// A text of the same kind as `other`.
    static func text(_ text: String, like other: Value) -> Value { other.isMarkup ? .markup(text) : .string(text) }

    /// The depth of something that holds `values`.
    ///
    /// - Throws: `Failure` where that is too much.
    static func depth(around values: some Sequence<Value>) throws -> Int {
        let depth = 1 + (values.lazy.map(\.depth).max() ?? 0)
        if depth > Limits.valueDepth { throw Failure("a value nests more than \(Limits.valueDepth) levels deep") }
        return depth
    }
}

/// What stands for something that isn't there, and the reason, which is told where it is needed nonetheless.
final class Undefined {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}

final class ListValue {
    let items: [Value]
    let depth: Int

    init(_ items: [Value]) throws {
        depth = try Value.depth(around: items)
        self.items = items
    }
}

final class TupleValue {
    let items: [Value]
    let depth: Int
    /// Whether it is what `groupby` gives, whose two items have the names `grouper` and `list`.
    let isGroup: Bool

    init(_ items: [Value], isGroup: Bool = false) throws {
        depth = try Value.depth(around: items)
        self.items = items
        self.isGroup = isGroup
    }
}

/// What `keys()`, `values()` and `items()` give.
struct DictionaryView {
    enum Kind: String { case keys, values, items }

    let kind: Kind
    let dictionary: DictionaryValue

    func elements() throws -> [Value] {
        switch kind {
        case .keys: dictionary.keys
        case .values: dictionary.values
        case .items: try zip(dictionary.keys, dictionary.values).map { try .tuple([$0, $1]) }
        }
    }
}

struct RangeValue: Equatable {
    let start: Int
    let stop: Int
    let step: Int
    /// Where it stops as it was written.
    let shownStop: Int

    var count: Int { start == stop ? 0 : Int(((stop - start).magnitude - 1) / step.magnitude) + 1 }

    /// - Throws: `Failure` for more elements than Jinja's sandbox allows.
    static func checked(_ start: Int, _ stop: Int, _ step: Int) throws -> RangeValue {
        if step == 0 { throw Failure("the step of a range can't be 0") }
        let (length, overflows) =
            step > 0 ? stop.subtractingReportingOverflow(start) : start.subtractingReportingOverflow(stop)
        let isTooLong =
            overflows
            ? (step > 0) == (stop > start) : length > 0 && UInt(length - 1) / step.magnitude >= Limits.rangeLength
        if isTooLong { throw Failure("the range has more than \(Limits.rangeLength) elements") }
        return RangeValue(start: start, stop: length > 0 && !overflows ? stop : start, step: step, shownStop: stop)
    }

    /// A part of a checked range.
    static func slice(from start: Int, to stop: Int, step: Int) -> RangeValue {
        let isEmpty = step > 0 ? start >= stop : start <= stop
        return RangeValue(start: start, stop: isEmpty ? start : stop, step: step, shownStop: stop)
    }

    subscript(index: Int) -> Int { start &+ index &* step }

    var elements: [Value] { (0..<count).map { .integer(self[$0]) } }
}

/// The attributes of a `namespace()`, the one value that changes; the renderer has it, so that none can hold itself.
final class NamespaceValue {
    var names: [Value] = []
    var attributes: [DictionaryKey: Value] = [:]
}

/// Something that gives its elements once.
final class IteratorValue {
    let typeName: String
    let depth: Int
    private var next: (() throws -> Value?)?

    init(_ typeName: String, depth: Int, _ next: @escaping () throws -> Value?) {
        self.typeName = typeName
        self.depth = depth
        self.next = next
    }

    func advance() throws -> Value? {
        let element = try next?()
        if element == nil { next = nil }
        return element
    }

    func clear() { next = nil }
}
