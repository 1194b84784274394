/// Finds for every name the variable that Jinja's compiler takes for it.
///
/// Which one that is, is decided for a whole frame before it runs: a name that a frame assigns to is a variable of that
/// frame from its beginning, a copy of the one around where there is one; a name that it only reads is the nearest frame's
/// that knows it. Loops, macros, call blocks, `with`, and blocks that are assigned or filtered have frames; `if` has none.
struct ScopeAnalysis {
    private(set) var frames: [TemplateProgram.Frame]
    private(set) var slotCounts: [Int] = [0]
    private let names: [String]
    private var functionDepths = [0]
    private var slots: [[Int: Int]]

    init(names: [String], frameCount: Int) {
        self.names = names
        frames = Array(repeating: TemplateProgram.Frame(), count: frameCount)
        slots = Array(repeating: [:], count: frameCount)
    }

    /// - Throws: `Failure` with its place for filters and tests that aren't known.
    mutating func analyze(_ body: [Statement]) throws {
        let scope = Scope(frame: 0, function: 0, parent: nil)
        collect(body, into: scope)
        try finish(scope)
        try descend(body, scope, isConditional: false)
    }

    private mutating func slot(of name: Int, _ scope: Scope) -> Variable {
        let slot = slots[scope.frame][name] ?? slotCounts[scope.function]
        if slots[scope.frame][name] == nil {
            slots[scope.frame][name] = slot
            slotCounts[scope.function] += 1
        }
        return Variable(function: scope.function, slot: slot)
    }

    private mutating func newFunction(within scope: Scope) -> Int {
        slotCounts.append(0)
        functionDepths.append(functionDepths[scope.function] + 1)
        return slotCounts.count - 1
    }

    // What a frame's names are.

    private mutating func declare(_ name: Int, _ scope: Scope) {
        scope.stores.insert(name)
        scope.variables[name] = slot(of: name, scope)
        scope.loads[name] = .parameter
    }

    private mutating func store(_ name: Int, _ scope: Scope) {
        scope.stores.insert(name)
        if scope.variables[name] != nil { return }
        scope.variables[name] = slot(of: name, scope)
        scope.loads[name] = scope.parent?.variable(name).map { .copy($0) } ?? .nothing
    }

    private mutating func load(_ name: Int, _ scope: Scope) {
        if scope.variable(name) != nil { return }
        scope.variables[name] = slot(of: name, scope)
        scope.loads[name] = .given
    }

    private mutating func collect(_ expression: Expression?, into scope: Scope) {
        guard let expression else { return }
        if case .name(let name) = expression.kind { load(name, scope) }
        for part in expression.parts { collect(part, into: scope) }
    }

    private mutating func collect(_ target: Statement.Target, into scope: Scope, isParameter: Bool = false) {
        switch target {
        case .name(let name): isParameter ? declare(name, scope) : store(name, scope)
        case .attribute(let name, _, _): load(name, scope)
        case .tuple(let targets, _): for target in targets { collect(target, into: scope, isParameter: isParameter) }
        }
    }

    private mutating func collect(_ body: [Statement], into scope: Scope) {
        for statement in body { collect(statement, into: scope) }
    }

    private mutating func collect(_ statement: Statement, into scope: Scope) {
        switch statement {
        case .text, .breakLoop, .continueLoop, .generation: break
        case .output(let value): collect(value, into: scope)
        case .assign(let target, let value):
            collect(value, into: scope)
            collect(target, into: scope)
        case .assignBlock(let target, _, _, _): collect(target, into: scope)
        case .loop(let loop): collect(loop.elements, into: scope)
        case .conditional(let branches, let otherwise): collect(branches[...], otherwise, into: scope)
        case .macro(let macro): store(macro.number, scope)
        case .callBlock(_, let call): collect(call, into: scope)
        case .filterBlock(let filter, _, _): collect(filter, into: scope)
        case .with(let assignments, _, _): for assignment in assignments { collect(assignment.value, into: scope) }
        }
    }

    private mutating func collect(
        _ branches: ArraySlice<Statement.Branch>, _ otherwise: [Statement], into scope: Scope
    ) {
        guard let first = branches.first else { return }
        collect(first.test, into: scope)
        let (body, others, last) = (scope.copy(), scope.copy(), scope.copy())
        collect(first.body, into: body)
        // Each further branch sees what those between it and the first have declared.
        for branch in branches.dropFirst() { collect([branch][...], [], into: others) }
        collect(otherwise, into: last)
        scope.merge([body, others, last])
    }

    // The frames below a frame.

    private mutating func finish(_ scope: Scope) throws {
        let depth = functionDepths[scope.function]
        func reference(_ variable: Variable) -> TemplateProgram.Reference {
            TemplateProgram.Reference(hops: depth - functionDepths[variable.function], slot: variable.slot)
        }
        var frame = TemplateProgram.Frame()
        frame.function = scope.function
        frame.references = names.indices.map { scope.variable($0).map(reference) }
        for (name, load) in scope.loads {
            guard let slot = scope.variables[name]?.slot else { continue }
            switch load {
            case .parameter: break
            case .given: frame.loads.append((slot, .given(name)))
            case .copy(let variable): frame.loads.append((slot, .copy(reference(variable))))
            case .nothing: frame.loads.append((slot, .nothing))
            }
        }
        frames[scope.frame] = frame
    }

    private func inner(_ frame: Int, _ scope: Scope, function: Int? = nil) -> Scope {
        Scope(frame: frame, function: function ?? scope.function, parent: scope)
    }

    private mutating func descend(_ body: [Statement], _ scope: Scope, isConditional: Bool) throws {
        for statement in body { try descend(statement, scope, isConditional) }
    }

    private mutating func descend(_ statement: Statement, _ scope: Scope, _ isConditional: Bool) throws {
        switch statement {
        case .text, .breakLoop, .continueLoop: break
        case .output(let value), .assign(_, let value): try check(value, isConditional)
        case .assignBlock(_, let filter, let body, let frame):
            let inside = inner(frame, scope)
            collect(body, into: inside)
            collect(filter, into: inside)
            try check(filter, false)
            try finish(inside)
            try descend(body, inside, isConditional: false)
        case .loop(let loop): try descend(loop, scope, isConditional)
        case .conditional(let branches, let otherwise):
            for branch in branches {
                try check(branch.test, true)
                try descend(branch.body, scope, isConditional: true)
            }
            try descend(otherwise, scope, isConditional: true)
        case .macro(let macro), .generation(let macro): try descend(macro, scope)
        case .callBlock(let macro, let call):
            try check(call, isConditional)
            try descend(macro, scope)
        case .filterBlock(let filter, let body, let frame):
            let inside = inner(frame, scope)
            collect(body, into: inside)
            collect(filter, into: inside)
            try check(filter, false)
            try finish(inside)
            try descend(body, inside, isConditional: false)
        case .with(let assignments, let body, let frame):
            let inside = inner(frame, scope)
            for assignment in assignments {
                try check(assignment.value, isConditional)
                collect(assignment.target, into: inside, isParameter: true)
            }
            collect(body, into: inside)
            try finish(inside)
            try descend(body, inside, isConditional: false)
        }
    }

    private mutating func descend(_ loop: Statement.Loop, _ scope: Scope, _ isConditional: Bool) throws {
        try check(loop.elements, isConditional)
        try check(loop.condition, false)
        let function = loop.isRecursive ? newFunction(within: scope) : scope.function
        let body = inner(loop.frame, scope, function: function)
        if loop.usesLoop { declare(SpecialName.loop, body) }
        collect(loop.target, into: body, isParameter: true)
        collect(loop.body, into: body)
        try finish(body)
        let condition = inner(loop.conditionFrame, scope, function: function)
        collect(loop.target, into: condition, isParameter: true)
        collect(loop.condition, into: condition)
        try finish(condition)
        let otherwise = inner(loop.otherwiseFrame, scope, function: function)
        collect(loop.otherwise ?? [], into: otherwise)
        try finish(otherwise)
        try descend(loop.body, body, isConditional: false)
        try descend(loop.otherwise ?? [], otherwise, isConditional: false)
    }

    private mutating func descend(_ macro: Statement.Macro, _ scope: Scope) throws {
        let inside = inner(macro.frame, scope, function: newFunction(within: scope))
        for parameter in macro.parameters { declare(parameter, inside) }
        for value in macro.defaults {
            collect(value, into: inside)
            try check(value, false)
        }
        if macro.usesCaller { declare(SpecialName.caller, inside) }
        if macro.usesKeywords { declare(SpecialName.keywords, inside) }
        if macro.usesVariables { declare(SpecialName.variables, inside) }
        collect(macro.body, into: inside)
        try finish(inside)
        try descend(macro.body, inside, isConditional: false)
    }

    /// Whether all filters and tests are known; where a condition may keep them from being used, that isn't asked before.
    private func check(_ expression: Expression?, _ isConditional: Bool) throws {
        guard let expression else { return }
        var isConditional = isConditional
        switch expression.kind {
        case .conditional: isConditional = true
        case .filter(_, let name, _) where !isConditional: try Library.checkFilter(name, at: expression.position)
        case .test(_, let name, _) where !isConditional: try Library.checkTest(name, at: expression.position)
        default: break
        }
        for part in expression.parts { try check(part, isConditional) }
    }
}

private struct Variable {
    let function: Int
    let slot: Int
}

/// The names of a frame while they are found.
private final class Scope {
    enum Load {
        case parameter
        case given
        case copy(Variable)
        case nothing
    }

    let frame: Int
    let function: Int
    let parent: Scope?
    var variables: [Int: Variable] = [:]
    var loads: [Int: Load] = [:]
    var stores: Set<Int> = []

    init(frame: Int, function: Int, parent: Scope?) {
        self.frame = frame
        self.function = function
        self.parent = parent
    }

    func variable(_ name: Int) -> Variable? { variables[name] ?? parent?.variable(name) }

    func copy() -> Scope {
        let other = Scope(frame: frame, function: function, parent: parent)
        other.variables = variables
        other.loads = loads
        other.stores = stores
        return other
    }

    /// Takes over what branches declare: what only some of them assign has before them the value that it has outside.
    func merge(_ branches: [Scope]) {
        let assigned = branches.reduce(into: Set<Int>()) { $0.formUnion($1.stores) }.subtracting(stores)
        for branch in branches {
            variables.merge(branch.variables) { $1 }
            loads.merge(branch.loads) { $1 }
            stores.formUnion(branch.stores)
        }
        for name in assigned { loads[name] = parent?.variable(name).map { .copy($0) } ?? .given }
    }
}
