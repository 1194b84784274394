extension Library {
    /// Filters of lists and whatever else has elements.
    static let elementFilters: [String: Filter] = [
        "list": { value, arguments, renderer in
            _ = try bind(arguments, "list", [])
            return try .list(try renderer.elements(of: value))
        },
        "first": { value, arguments, _ in
            _ = try bind(arguments, "first", [])
            var elements = try ElementSequence(of: value)
            return try elements.next() ?? .undefined(Undefined("there is no first element, because there is none"))
        },
        "last": { value, arguments, renderer in
            _ = try bind(arguments, "last", [])
            return try reversible(value, "last", renderer).last
                ?? .undefined(Undefined("there is no last element, because there is none"))
        },
        "reverse": { value, arguments, renderer in
            _ = try bind(arguments, "reverse", [])
            if let text = value.text { return .text(String(text.unicodeScalars.reversed()), like: value) }
            if case .iterator = value { return try .list(try renderer.elements(of: value).reversed()) }
            var elements = ElementSequence(try reversible(value, "reverse", renderer).reversed())
            return try renderer.newIterator("reversed", depth: value.depth + 1) { try elements.next() }
        },
        "join": { value, arguments, renderer in
            let parts = try bind(arguments, "join", ["d", "attribute"])
            let separator = try (parts[0] ?? .string("")).printed()
            var elements = try ElementSequence(of: value)
            let path = try attributePath(parts[1])
            var (result, isFirst) = ("", true)
            while let element = try elements.next() {
                let text = try renderer.printed(try renderer.value(at: path, of: element))
                try renderer.spend(1 + (text.utf8.count + separator.utf8.count) / 32)
                try checkLength(result.utf8.count, adding: 1, text.utf8.count + separator.utf8.count)
                result += (isFirst ? "" : separator) + text
                isFirst = false
            }
            return .string(result)
        },
        "sort": { value, arguments, renderer in
            let parts = try bind(arguments, "sort", ["reverse", "case_sensitive", "attribute"])
            let isCaseSensitive = parts[1]?.isTrue ?? false
            let paths = try attributePaths(parts[2])
            let elements = try renderer.elements(of: value)
            let order = try sorted(elements, try flag(parts[0], "reverse"), renderer) { element in
                try .list(
                    try paths.map { foldingCase(try renderer.value(at: $0, of: element), unless: isCaseSensitive) })
            }
            return try .list(order.map { elements[$0] })
        },
        "dictsort": { value, arguments, renderer in
            let parts = try bind(arguments, "dictsort", ["case_sensitive", "by", "reverse"])
            let isCaseSensitive = parts[0]?.isTrue ?? false
            let by = parts[1].map { $0.text ?? "" } ?? "key"
            guard by == "key" || by == "value" else { throw Failure("'by' of the filter 'dictsort' is key or value") }
            if case .undefined(let undefined) = value { throw Failure(undefined.reason) }
            guard case .dictionary(let dictionary) = value else {
                throw Failure("the filter 'dictsort' needs an object, not \(value.kindName)")
            }
            let pairs = try DictionaryView(kind: .items, dictionary: dictionary).elements()
            let keys = by == "key" ? dictionary.keys : dictionary.values
            let order = try sorted(keys, try flag(parts[2], "reverse"), renderer) {
                foldingCase($0, unless: isCaseSensitive)
            }
            return try .list(order.map { pairs[$0] })
        },
        "unique": { value, arguments, renderer in
            let parts = try bind(arguments, "unique", ["case_sensitive", "attribute"])
            let isCaseSensitive = parts[0]?.isTrue ?? false
            let path = try attributePath(parts[1])
            var seen: Set<DictionaryKey> = []
            return try renderer.newIterator(over: value) { [unowned renderer] elements in
                while let element = try elements.next() {
                    try renderer.spend(1)
                    let key = foldingCase(try renderer.value(at: path, of: element), unless: isCaseSensitive)
                    if seen.insert(try DictionaryKey(key)).inserted { return element }
                }
                return nil
            }
        },
        "min": extreme("min", wanted: .less), "max": extreme("max", wanted: .greater),
        "sum": { value, arguments, renderer in
            let parts = try bind(arguments, "sum", ["attribute", "start"])
            var elements = try ElementSequence(of: value)
            let path = try attributePath(parts[0])
            var sum = parts[1] ?? .integer(0)
            if sum.text != nil { throw Failure("the filter 'sum' can't add to a string; use 'join'") }
            while let element = try elements.next() {
                sum = try Operators.apply(.add, sum, try renderer.value(at: path, of: element), renderer)
            }
            return sum
        },
        "map": map,
        "select": selection("select", byAttribute: false, keeps: true),
        "reject": selection("reject", byAttribute: false, keeps: false),
        "selectattr": selection("selectattr", byAttribute: true, keeps: true),
        "rejectattr": selection("rejectattr", byAttribute: true, keeps: false),
        "batch": batch, "slice": slice, "groupby": groupBy,
    ]

    private static func foldingCase(_ value: Value, unless isCaseSensitive: Bool) -> Value {
        isCaseSensitive ? value : value.text.map { .string($0.pythonLowercased) } ?? value
    }

    /// The elements of what Python's `reversed` takes.
    private static func reversible(_ value: Value, _ filter: String, _ renderer: Renderer) throws -> [Value] {
        if case .iterator = value {
            throw Failure("the filter '\(filter)' can't take what a filter gives one by one; put '| list' before it")
        }
        return try renderer.elements(of: value)
    }

    private static func sorted(
        _ values: [Value], _ isReversed: Bool, _ renderer: Renderer, key: (Value) throws -> Value
    ) throws -> [Int] {
        try renderer.spend(values.count * max(1, Int.bitWidth - values.count.leadingZeroBitCount))
        return try Sorting.sorted(values, isReversed: isReversed, key: key)
    }

    private static func extreme(_ name: String, wanted: Value.Order) -> Filter {
        { value, arguments, renderer in
            let parts = try bind(arguments, name, ["case_sensitive", "attribute"])
            let isCaseSensitive = parts[0]?.isTrue ?? false
            let path = try attributePath(parts[1])
            var elements = try ElementSequence(of: value)
            var best: (element: Value, key: Value)?
            while let element = try elements.next() {
                try renderer.spend(1)
                let key = foldingCase(try renderer.value(at: path, of: element), unless: isCaseSensitive)
                if let current = best, try key.order(current.key) != wanted { continue }
                best = (element, key)
            }
            return best?.element ?? .undefined(Undefined("there is no \(name), because there are no elements"))
        }
    }

    private static let map: Filter = { value, arguments, renderer in
        // Of what is empty or zero it isn't asked whether it has elements.
        let source = value.isTrue ? value : .undefined(Undefined("nothing"))
        var arguments = arguments
        if arguments.positional.isEmpty, arguments.keywords.contains(where: { $0.name == "attribute" }) {
            let given = arguments
            var path: [Value]?
            var otherwise: Value?
            return try renderer.newIterator(over: source) { [unowned renderer] elements in
                if path == nil {
                    let parts = try bind(given, "map", ["attribute", "default"])
                    path = try attributePath(parts[0])
                    otherwise = parts[1].flatMap { $0.isNone ? nil : $0 }
                }
                guard let element = try elements.next() else { return nil }
                try renderer.spend(1)
                return try renderer.value(at: path ?? [], of: element, otherwise: otherwise)
            }
        }
        let name = arguments.positional.isEmpty ? nil : arguments.positional.removeFirst()
        let depth = (arguments.positional + arguments.keywords.map(\.value)).map(\.depth).max() ?? 0
        let given = arguments
        return try renderer.newIterator(over: source, depth: depth) { [unowned renderer] elements in
            if value.isTrue, name == nil {
                throw Failure("the filter 'map' needs the name of a filter, or 'attribute'")
            }
            guard let element = try elements.next(), let name else { return nil }
            try renderer.spend(1)
            return try renderer.nested { try filter(try named(name, "filter"), element, given, renderer) }
        }
    }

    private static func named(_ name: Value, _ kind: String) throws -> String {
        if case .undefined(let undefined) = name {
            throw Failure("\(undefined.reason); should the \(kind)'s name be in quotes?")
        }
        guard let text = name.text else { throw Failure("the name of a \(kind) is needed, not \(name.kindName)") }
        return text
    }

    private static func selection(_ name: String, byAttribute: Bool, keeps: Bool) -> Filter {
        { value, arguments, renderer in
            let source = value.isTrue ? value : .undefined(Undefined("nothing"))
            var arguments = arguments
            let attribute = byAttribute && !arguments.positional.isEmpty ? arguments.positional.removeFirst() : nil
            let test = arguments.positional.isEmpty ? nil : arguments.positional.removeFirst()
            let depth = arguments.positional.map(\.depth).max() ?? 0
            let given = arguments
            let lacksAttribute = byAttribute && attribute == nil && value.isTrue
            return try renderer.newIterator(over: source, depth: depth) { [unowned renderer] elements in
                if lacksAttribute { throw Failure("the filter '\(name)' needs the name of an attribute") }
                let path = try attributePath(attribute)
                while let element = try elements.next() {
                    try renderer.spend(1)
                    let candidate = try renderer.value(at: path, of: element)
                    let holds: Bool
                    if let test {
                        holds = try Library.test(try named(test, "test"), candidate, given, renderer)
                    } else {
                        holds = candidate.isTrue
                    }
                    if holds == keeps { return element }
                }
                return nil
            }
        }
    }

    // Attributes by name.

    /// The names in `a.b.0`; none where there is no attribute.
    private static func attributePath(_ value: Value?) throws -> [Value] {
        guard let value, !value.isNone else { return [] }
        guard let text = value.text else { return [value] }
        return try text.split(at: ".", limit: -1, fromEnd: false).map { part in
            guard part.isPythonDigit else { return .string(part) }
            guard let index = try NumberText.integer(part, base: 10) else { throw Failure("'\(part)' is no index") }
            return .integer(index)
        }
    }

    private static func attributePaths(_ value: Value?) throws -> [[Value]] {
        guard let text = value?.text else { return [try attributePath(value)] }
        return try text.split(at: ",", limit: -1, fromEnd: false).map { try attributePath(.string($0)) }
    }

    // Groups of elements.

    /// A filter whose groups are made when the first is asked for.
    private static func grouping(
        _ name: String, _ parameter: String,
        _ groups: @escaping @Sendable ([Value], Int, Value?, Renderer) throws -> [[Value]]
    ) -> Filter {
        { value, arguments, renderer in
            let parts = try bind(arguments, name, [parameter, "fill_with"], required: 1)
            let filler = parts[1].flatMap { $0.isNone ? nil : $0 }
            var found: ElementSequence?
            return try renderer.newIterator("generator", depth: max(value.depth, filler?.depth ?? 0) + 2) {
                [unowned renderer] in
                if found == nil {
                    let count = try integer(parts[0], parameter, otherwise: 0)
                    let items = try renderer.elements(of: value)
                    found = ElementSequence(try groups(items, count, filler, renderer).map { try .list($0) })
                }
                return try found?.next()
            }
        }
    }

    private static let batch = grouping("batch", "linecount") { items, count, filler, renderer in
        var groups: [[Value]] = []
        var group: [Value] = []
        for element in items {
            if group.count == count {
                groups.append(group)
                group = []
            }
            group.append(element)
        }
        if group.isEmpty { return groups }
        if let filler, group.count < count {
            try renderer.spend(count)
            group += Array(repeating: filler, count: count - group.count)
        }
        return groups + [group]
    }

    private static let slice = grouping("slice", "slices") { items, count, filler, renderer in
        if count == 0 { throw Failure("division by zero") }
        try renderer.spend(max(0, count))
        var groups: [[Value]] = []
        var start = 0
        for index in 0..<max(0, count) {
            let hasMore = index < items.count % count
            let end = start + items.count / count + (hasMore ? 1 : 0)
            groups.append(Array(items[start..<end]) + (filler.flatMap { hasMore ? nil : [$0] } ?? []))
            start = end
        }
        return groups
    }

    private static let groupBy: Filter = { value, arguments, renderer in
        let parts = try bind(arguments, "groupby", ["attribute", "default", "case_sensitive"], required: 1)
        let path = try attributePath(parts[0])
        let otherwise = parts[1].flatMap { $0.isNone ? nil : $0 }
        let isCaseSensitive = parts[2]?.isTrue ?? false
        func key(_ element: Value) throws -> Value {
            foldingCase(try renderer.value(at: path, of: element, otherwise: otherwise), unless: isCaseSensitive)
        }
        let elements = try renderer.elements(of: value)
        let order = try sorted(elements, false, renderer, key: key)
        var groups: [(key: Value, items: [Value])] = []
        for index in order {
            let name = try key(elements[index])
            if let last = groups.last, last.key.isEqual(name) {
                groups[groups.count - 1].items.append(elements[index])
            } else {
                groups.append((name, [elements[index]]))
            }
        }
        return try .list(
            try groups.map { group in
                let name = try renderer.value(at: path, of: group.items[0], otherwise: otherwise)
                return .tuple(try TupleValue([name, try .list(group.items)], isGroup: true))
            })
    }
}

extension Renderer {
    /// What a path of names leads to within `element`.
    func value(at path: [Value], of element: Value, otherwise: Value? = nil) throws -> Value {
        var value = element
        for name in path {
            value = try item(name, of: value)
            if let otherwise, value.isUndefined { value = otherwise }
        }
        return value
    }
}
