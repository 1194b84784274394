import Diagnostics

extension Renderer {
    /// How a body ended.
    enum Ending { case finished, broke, continued }

    func run(_ body: [Statement]) throws -> Ending {
        for statement in body {
            let ending = try run(statement)
            if ending != .finished { return ending }
        }
        return .finished
    }

    private func run(_ statement: Statement) throws -> Ending {
        switch statement {
        case .text(let text): try write(text)
        case .output(let expression): try runOutput(expression)
        case .assign(let target, let expression): try runAssignment(target, expression)
        case .assignBlock(let target, let filter, let body, let frame):
            return try runAssignment(target, filter, body, frame)
        case .loop(let loop): return try runLoop(loop)
        case .conditional(let branches, let otherwise): return try runConditional(branches, otherwise)
        case .macro(let macro): setVariable(macro.number, .function(try function(macro)))
        case .callBlock(let macro, let call): try runCallBlock(macro, call)
        case .generation(let macro): try runGeneration(macro)
        case .filterBlock(let filter, let body, let frame): return try runFilterBlock(filter, body, frame)
        case .with(let assignments, let body, let frame): return try runWith(assignments, body, frame)
        case .breakLoop: return .broke
        case .continueLoop: return .continued
        }
        return .finished
    }

    private func function(_ macro: Statement.Macro) throws -> FunctionValue {
        try keepActivation()
        return try FunctionValue(.macro(macro, activation))
    }

    private func runOutput(_ expression: Expression) throws {
        let value = try evaluate(expression)
        position = expression.position
        try write(try printed(value))
    }

    private func runAssignment(_ target: Statement.Target, _ expression: Expression) throws {
        try assign(try evaluate(expression), to: target)
    }

    private func runConditional(_ branches: [Statement.Branch], _ otherwise: [Statement]) throws -> Ending {
        try nested {
            for branch in branches where try evaluate(branch.test).isTrue { return try run(branch.body) }
            return try run(otherwise)
        }
    }

    /// Runs `body` with the variables of a frame within this one.
    private func within<Result>(_ inner: Int, _ body: () throws -> Result) throws -> Result {
        let outer = frame
        enterFrame(inner)
        defer { frame = outer }
        return try nested(body)
    }

    private func runAssignment(
        _ target: Statement.Target, _ filter: Expression?, _ body: [Statement], _ inner: Int
    ) throws -> Ending {
        var ending = Ending.finished
        let value = try within(inner) {
            let text = try captured { ending = try run(body) }
            if ending != .finished { return Value.none }
            guard let filter else { return .string(text) }
            return try evaluate(filter, block: text)
        }
        if ending == .finished { try assign(value, to: target) }
        return ending
    }

    private func runFilterBlock(_ filter: Expression, _ body: [Statement], _ inner: Int) throws -> Ending {
        var ending = Ending.finished
        let value = try within(inner) {
            let text = try captured { ending = try run(body) }
            return ending == .finished ? try evaluate(filter, block: text) : .string("")
        }
        try writeText(value, "a filter")
        return ending
    }

    private func runWith(_ assignments: [Statement.Assignment], _ body: [Statement], _ inner: Int) throws -> Ending {
        let values = try assignments.map { try evaluate($0.value) }
        return try within(inner) {
            for (assignment, value) in zip(assignments, values) { try assign(value, to: assignment.target) }
            return try run(body)
        }
    }

    private func runCallBlock(_ macro: Statement.Macro, _ call: Expression) throws {
        guard case .call(let callee, let arguments) = call.kind else { defect("Renderer: a call block without a call") }
        let caller = Value.function(try function(macro))
        let function = try evaluate(callee)
        var given = try evaluate(arguments)
        position = call.position
        given.keywords.append(("caller", caller))
        try writeText(try self.call(function, given), "a call")
    }

    /// Writes what a block was made into, which isn't turned into text.
    private func writeText(_ value: Value, _ owner: String) throws {
        guard let text = value.text else {
            throw Failure("\(owner) of a block has to give text, not \(value.kindName)")
        }
        try write(text)
    }

    private func runGeneration(_ macro: Statement.Macro) throws {
        let written = try call(macro, activation, CallArguments())
        generations.append((writtenBefore ?? text.utf8.count, written.scalarCount))
        try write(written)
    }

    // Loops.

    private func runLoop(_ loop: Statement.Loop) throws -> Ending {
        let elements = try evaluate(loop.elements)
        position = loop.elements.position
        if loop.isRecursive {
            try write(try repeatLoop(loop, over: elements, activation, depth: 0))
            return .finished
        }
        return try runLoop(loop, over: elements, depth0: 0, recursion: nil)
    }

    /// What a recursive loop writes for `elements`.
    func repeatLoop(
        _ loop: Statement.Loop, over elements: Value, _ around: Activation, depth: Int
    ) throws -> String {
        let (outer, outerFrame) = (activation, frame)
        let function = program.frames[loop.frame].function
        activation = Activation(slotCount: program.slotCounts[function], parent: around)
        defer { (activation, frame) = (outer, outerFrame) }
        return try nested {
            try captured {
                _ = try runLoop(loop, over: elements, depth0: depth, recursion: (loop, around))
            }
        }
    }

    private func runLoop(
        _ loop: Statement.Loop, over value: Value, depth0: Int,
        recursion: (loop: Statement.Loop, activation: Activation)?
    ) throws -> Ending {
        let outer = frame
        defer { frame = outer }
        let elements = try loopElements(loop, of: value)
        let state = LoopValue(
            elements, length: elements.count, depth: value.depth + 1, depth0: depth0, recursion: recursion)
        defer { state.finish() }
        var isEmpty = true
        var ending = Ending.finished
        try nested {
            while let element = try state.advance() {
                try spend(1)
                enterFrame(loop.frame)
                if loop.usesLoop { setVariable(SpecialName.loop, .loop(state)) }
                try assign(element, to: loop.target)
                ending = try run(loop.body)
                // Jinja notes only at the end of a round that there was one.
                if ending == .finished { isEmpty = false }
                if ending == .broke { break }
            }
        }
        guard isEmpty, let otherwise = loop.otherwise else { return .finished }
        enterFrame(loop.otherwiseFrame)
        return try run(otherwise)
    }

    private func loopElements(_ loop: Statement.Loop, of value: Value) throws -> ElementSequence {
        var elements = try ElementSequence(of: value)
        guard let condition = loop.condition else { return elements }
        let home = activation
        return ElementSequence { [unowned self] in
            // A macro that asks for the next element runs elsewhere.
            let (outer, outerFrame) = (activation, frame)
            activation = home
            defer { (activation, frame) = (outer, outerFrame) }
            while let element = try elements.next() {
                try spend(1)
                enterFrame(loop.conditionFrame)
                try assign(element, to: loop.target)
                if try evaluate(condition).isTrue { return element }
            }
            return nil
        }
    }
}
