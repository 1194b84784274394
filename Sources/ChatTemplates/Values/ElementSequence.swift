/// The elements of something that can be gone through.
struct ElementSequence {
    private enum Source {
        case array([Value], Int)
        case range(RangeValue, Int)
        case characters(String.UnicodeScalarView.Iterator)
        case iterator(IteratorValue)
        case closure(() throws -> Value?)
    }

    private var source: Source
    /// How many there are, where that is known without going through them.
    let count: Int?

    init(_ items: [Value]) {
        source = .array(items, 0)
        count = items.count
    }

    init(_ next: @escaping () throws -> Value?) {
        source = .closure(next)
        count = nil
    }

    private init(_ source: Source, count: Int?) {
        self.source = source
        self.count = count
    }

    /// - Throws: `Failure` for what has no elements.
    init(of value: Value) throws {
        switch value {
        case .undefined: self.init([])
        case .string(let text), .markup(let text):
            self.init(.characters(text.unicodeScalars.makeIterator()), count: text.unicodeScalars.count)
        case .list(let list): self.init(list.items)
        case .tuple(let tuple): self.init(tuple.items)
        case .dictionary(let dictionary): self.init(dictionary.keys)
        case .view(let view): self.init(try view.elements())
        case .range(let range): self.init(.range(range, 0), count: range.count)
        case .iterator(let iterator): self.init(.iterator(iterator), count: nil)
        case .none, .boolean, .integer, .number, .namespace, .function, .loop:
            throw Failure("\(value.kindName) has no elements to go through")
        }
    }

    mutating func next() throws -> Value? {
        switch source {
        case .array(let items, let index):
            guard index < items.count else { return nil }
            source = .array(items, index + 1)
            return items[index]
        case .range(let range, let index):
            guard index < range.count else { return nil }
            source = .range(range, index + 1)
            return .integer(range[index])
        case .characters(var characters):
            let character = characters.next()
            source = .characters(characters)
            return character.map { .string(String($0)) }
        case .iterator(let iterator): return try iterator.advance()
        case .closure(let next): return try next()
        }
    }
}
