/// Something that can be called.
final class FunctionValue {
    enum Kind {
        case macro(Statement.Macro, Activation)
        /// A function of Jinja's or of transformers'.
        case builtin(String)
        /// A method of a value.
        case method(Value, String)
        case cycler(CyclerState)
        case joiner(JoinerState)
    }

    let kind: Kind
    let depth: Int

    init(_ kind: Kind) throws {
        self.kind = kind
        switch kind {
        case .macro, .builtin: depth = 0
        case .method(let receiver, _): depth = try Value.depth(around: CollectionOfOne(receiver))
        case .cycler(let state): depth = try Value.depth(around: state.items)
        case .joiner(let state): depth = try Value.depth(around: CollectionOfOne(state.separator))
        }
    }

    var isCallable: Bool { if case .cycler = kind { false } else { true } }

    var kindName: String {
        switch kind {
        case .macro: "a macro"
        case .builtin(let name): "the function '\(name)'"
        case .method(_, let name): "the method '\(name)'"
        case .cycler: "a cycler"
        case .joiner: "a joiner"
        }
    }
}

final class CyclerState {
    let items: [Value]
    var position = 0

    init(_ items: [Value]) { self.items = items }
}

final class JoinerState {
    let separator: Value
    var wasUsed = false

    init(_ separator: Value) { self.separator = separator }
}

/// The variables of a function while it runs, and after it where macros keep them.
final class Activation {
    var slots: [Value?]
    let parent: Activation?
    var isKept = false

    init(slotCount: Int, parent: Activation?) {
        slots = Array(repeating: nil, count: slotCount)
        self.parent = parent
    }
}

/// A loop while it runs, which a template sees as `loop`.
final class LoopValue {
    let depth: Int
    let depth0: Int
    /// The loop that may be called again, and where it stands; nil where it isn't recursive.
    let recursion: (loop: Statement.Loop, activation: Activation)?
    private var elements: ElementSequence
    private var after: Value??
    private var length: Int?
    private(set) var index0 = -1
    private(set) var current: Value?
    private(set) var previous: Value?
    var lastChange: [Value]?

    init(
        _ elements: ElementSequence, length: Int?, depth: Int, depth0: Int,
        recursion: (loop: Statement.Loop, activation: Activation)?
    ) {
        self.elements = elements
        self.length = length
        self.depth = depth
        self.depth0 = depth0
        self.recursion = recursion
    }

    /// The next element, which becomes the current one.
    func advance() throws -> Value? {
        let next: Value?
        if let after {
            next = after
            self.after = nil
        } else {
            next = try elements.next()
        }
        guard let next else { return nil }
        index0 += 1
        previous = current
        current = next
        return next
    }

    func following() throws -> Value? {
        if let after { return after }
        let next = try elements.next()
        after = .some(next)
        return next
    }

    func count() throws -> Int {
        if let length { return length }
        var rest: [Value] = []
        while let element = try elements.next() { rest.append(element) }
        var count = rest.count + index0 + 1
        if case .some(.some) = after { count += 1 }
        elements = ElementSequence(rest)
        length = count
        return count
    }

    /// Lets go of the elements, which nobody needs any longer.
    func finish() {
        elements = ElementSequence([])
        after = .some(nil)
        (current, previous, lastChange) = (nil, nil, nil)
    }
}
