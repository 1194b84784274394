/// Finds names that are read before anything declares them, also within loops and macros.
struct UndeclaredNames {
    private var wanted: Set<Int>
    private var found: Set<Int> = []

    static func find(_ names: Set<Int>, in body: [Statement]) -> Set<Int> {
        var search = UndeclaredNames(wanted: names)
        search.visit(body)
        return search.found
    }

    private init(wanted: Set<Int>) { self.wanted = wanted }

    private mutating func visit(_ body: [Statement]) { for statement in body { visit(statement) } }

    private mutating func visit(_ expression: Expression?) {
        guard let expression else { return }
        if case .name(let name) = expression.kind, wanted.contains(name) { found.insert(name) }
        for part in expression.parts { visit(part) }
    }

    private mutating func visit(_ target: Statement.Target) {
        switch target {
        case .name(let name): wanted.remove(name)
        case .attribute: break
        case .tuple(let targets, _): for target in targets { visit(target) }
        }
    }

    private mutating func visit(_ macro: Statement.Macro) {
        wanted.subtract(macro.parameters)
        for value in macro.defaults { visit(value) }
        visit(macro.body)
    }

    private mutating func visit(_ statement: Statement) {
        switch statement {
        case .text, .breakLoop, .continueLoop: break
        case .output(let value): visit(value)
        case .assign(let target, let value):
            visit(target)
            visit(value)
        case .assignBlock(let target, let filter, let body, _):
            visit(target)
            visit(filter)
            visit(body)
        case .loop(let loop):
            visit(loop.target)
            visit(loop.elements)
            visit(loop.body)
            visit(loop.otherwise ?? [])
            visit(loop.condition)
        case .conditional(let branches, let otherwise):
            for branch in branches {
                visit(branch.test)
                visit(branch.body)
            }
            visit(otherwise)
        case .macro(let macro): visit(macro)
        case .generation(let macro): visit(macro)
        case .callBlock(let macro, let call):
            visit(call)
            visit(macro)
        case .filterBlock(let filter, let body, _):
            visit(body)
            visit(filter)
        case .with(let assignments, let body, _):
            for assignment in assignments { visit(assignment.target) }
            for assignment in assignments { visit(assignment.value) }
            visit(body)
        }
    }
}

/// Finds out whether a name is assigned to.
enum StoredNames {
    static func store(_ name: Int, in statement: Statement) -> Bool {
        func inTarget(_ target: Statement.Target) -> Bool {
            switch target {
            case .name(let other): other == name
            case .attribute: false
            case .tuple(let targets, _): targets.contains(where: inTarget)
            }
        }
        func inBody(_ body: [Statement]) -> Bool { body.contains { store(name, in: $0) } }
        switch statement {
        case .text, .breakLoop, .continueLoop, .output: return false
        case .assign(let target, _): return inTarget(target)
        case .assignBlock(let target, _, let body, _): return inTarget(target) || inBody(body)
        case .loop(let loop): return inTarget(loop.target) || inBody(loop.body) || inBody(loop.otherwise ?? [])
        case .conditional(let branches, let otherwise):
            return branches.contains { inBody($0.body) } || inBody(otherwise)
        case .macro(let macro), .generation(let macro), .callBlock(let macro, _): return inBody(macro.body)
        case .filterBlock(_, let body, _), .with(_, let body, _): return inBody(body)
        }
    }
}
