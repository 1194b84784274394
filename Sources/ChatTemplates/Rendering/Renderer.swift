import Diagnostics

/// Renders a template once.
final class Renderer {
    let program: TemplateProgram
    /// Where in the template the last thing that can fail was begun.
    var position = TextPosition(line: 1, column: 1)
    var activation: Activation
    /// The number of the frame whose variables are seen.
    var frame = 0
    /// What was written, or of a block that is captured what that holds so far.
    var text = ""
    /// What `generation` marks: the byte that it begins at, if it isn't within a block that is captured, and its length in
    /// characters.
    var generations: [(start: Int, length: Int)] = []
    /// How far the template itself has written, while a block is captured.
    var writtenBefore: Int?
    /// The time that `strftime_now` takes, in seconds since 1970.
    let time: Int
    private var given: [Value?]
    private var depth = 0
    private var stepsLeft = Limits.steps
    private var namespaces: [NamespaceValue] = []
    private var kept: [Activation] = []
    private var iterators: [IteratorValue] = []

    init(_ program: TemplateProgram, _ variables: [(name: String, value: Value)], time: Int) {
        self.program = program
        self.time = time
        activation = Activation(slotCount: program.slotCounts[0], parent: nil)
        given = Array(repeating: nil, count: program.names.count)
        for (number, name) in program.names.enumerated() {
            given[number] =
                variables.last { $0.name == name }?.value
                ?? (Library.functions.contains(name) ? try? .function(FunctionValue(.builtin(name))) : nil)
        }
    }

    /// - Throws: `Failure` with its place.
    func render() throws {
        let root = activation
        defer {
            // Macros and iterators may hold each other through the variables.
            root.slots = []
            for activation in kept { activation.slots = [] }
            for namespace in namespaces { (namespace.names, namespace.attributes) = ([], [:]) }
            for iterator in iterators { iterator.clear() }
        }
        do {
            enterFrame(0)
            _ = try run(program.body)
        } catch let failure as Failure {
            throw Failure(failure.message, at: failure.position ?? position)
        }
    }

    /// What `generation` marks, as bytes of the text.
    var generationSpans: [Range<Int>] {
        generations.map { start, length in
            // Within a captured block the text may stand elsewhere in the end; as in transformers the length is kept then.
            let begin = text.utf8.index(text.startIndex, offsetBy: start, limitedBy: text.endIndex) ?? text.endIndex
            let marked = text.unicodeScalars[begin...].prefix(length)
            return start..<start + String(marked).utf8.count
        }
    }

    /// Counts work that was or will be done.
    func spend(_ steps: Int) throws {
        stepsLeft -= steps
        if stepsLeft < 0 {
            throw Failure("rendering takes more than \(Limits.steps) steps; does a loop or a macro have no end?")
        }
    }

    func spend(bytes: Int) throws { try spend(bytes / 32) }

    /// Runs `body` a level deeper.
    func nested<Result>(_ body: () throws -> Result) throws -> Result {
        depth += 1
        defer { depth -= 1 }
        if depth > Limits.renderingDepth {
            throw Failure(
                "rendering nests more than \(Limits.renderingDepth) levels deep; does a macro call itself without end?")
        }
        return try body()
    }

    func write(_ part: String) throws {
        try spend(bytes: part.utf8.count)
        if part.utf8.count > Limits.textLength - text.utf8.count { throw Failure.textTooLong }
        text += part
    }

    /// What `body` writes.
    func captured(_ body: () throws -> Void) throws -> String {
        let (outer, before) = (text, writtenBefore)
        writtenBefore = before ?? text.utf8.count
        text = ""
        defer { (text, writtenBefore) = (outer, before) }
        try body()
        return text
    }

    func newNamespace() throws -> NamespaceValue {
        try spend(8)
        let namespace = NamespaceValue()
        namespaces.append(namespace)
        return namespace
    }

    func newIterator(_ typeName: String, depth: Int, _ next: @escaping () throws -> Value?) throws -> Value {
        try spend(8)
        if depth > Limits.valueDepth { throw Failure("a value nests more than \(Limits.valueDepth) levels deep") }
        let iterator = IteratorValue(typeName, depth: depth, next)
        iterators.append(iterator)
        return .iterator(iterator)
    }

    /// An iterator over what `next` makes of a value's elements, which are asked for only once it is.
    func newIterator(
        over value: Value, depth: Int = 0, _ next: @escaping (inout ElementSequence) throws -> Value?
    ) throws -> Value {
        var elements: ElementSequence?
        return try newIterator("generator", depth: max(depth, value.depth) + 1) {
            var current = try elements ?? ElementSequence(of: value)
            defer { elements = current }
            return try next(&current)
        }
    }

    // Variables.

    func enterFrame(_ number: Int) {
        frame = number
        for (slot, load) in program.frames[number].loads {
            switch load {
            case .given(let name): activation.slots[slot] = given[name]
            case .copy(let reference): activation.slots[slot] = value(at: reference)
            case .nothing: activation.slots[slot] = nil
            }
        }
    }

    private func value(at reference: TemplateProgram.Reference) -> Value? {
        var activation = activation
        for _ in 0..<reference.hops {
            guard let parent = activation.parent else { defect("Renderer: no function around") }
            activation = parent
        }
        return activation.slots[reference.slot]
    }

    func variable(_ name: Int) -> Value {
        guard let reference = program.frames[frame].references[name] else { defect("Renderer: no place for a name") }
        return value(at: reference) ?? .undefined(Undefined("'\(program.names[name])' is undefined"))
    }

    func setVariable(_ name: Int, _ value: Value?) {
        guard let reference = program.frames[frame].references[name], reference.hops == 0 else {
            defect("Renderer: no place for a name")
        }
        activation.slots[reference.slot] = value
    }

    /// Keeps the running function's variables until the end, because a macro may use them.
    func keepActivation() throws {
        try spend(8)
        if activation.isKept { return }
        activation.isKept = true
        kept.append(activation)
    }

    func assign(_ value: Value, to target: Statement.Target) throws {
        switch target {
        case .name(let name): setVariable(name, value)
        case .attribute(let name, let attribute, let place):
            position = place
            guard case .namespace(let namespace) = variable(name) else {
                throw Failure(
                    "'\(program.names[name])' is no namespace, so that nothing can be assigned to its attribute")
            }
            try set(attribute, of: namespace, to: value)
        case .tuple(let targets, let place):
            position = place
            var elements = try ElementSequence(of: value)
            var parts: [Value] = []
            while parts.count <= targets.count, let part = try elements.next() { parts.append(part) }
            if parts.count != targets.count {
                let found = parts.count > targets.count ? "more" : String(parts.count)
                throw Failure("there are \(targets.count) names for the parts of \(value.kindName), which has \(found)")
            }
            for (target, part) in zip(targets, parts) { try assign(part, to: target) }
        }
    }

    func set(_ attribute: String, of namespace: NamespaceValue, to value: Value) throws {
        if attribute.hasPrefix("_") {
            throw Failure("an attribute of a namespace can't begin with '_', as '\(attribute)' does")
        }
        try spend(1)
        let name = Value.string(attribute)
        let key = try DictionaryKey(name)
        if namespace.attributes.updateValue(value, forKey: key) == nil { namespace.names.append(name) }
    }
}
