/// Matches a regular expression as the tokenizers library does: the leftmost, of several at one place the first that is
/// tried, by going back. Where that takes long it notes what has failed, so that the time stays proportional to the
/// length of text times that of the expression.
struct SplitExpression: Sendable {
    enum Instruction: Sendable {
        case character(Int)
        /// Goes to `other` where this way fails; at once where the next character isn't one of the set.
        case branch(other: Int, first: Int?)
        /// Tries `other` first.
        case lazyBranch(other: Int)
        case jump(Int)
        /// As many characters of a set as there are, at most `most`; fewer where the rest fails, unless possessive.
        case run(set: Int, least: Int, most: Int, isPossessive: Bool)
        case look(set: Int, isAhead: Bool, isNegative: Bool)
        case found
    }

    private static let sizeLimit = 4000

    private(set) var program: [Instruction] = []
    private(set) var sets: [CodePointTable] = []
    let first: CodePointTable?

    /// - Throws: `ExpressionError` for what is no expression, isn't supported, or is too large.
    init(_ source: String) throws(ExpressionError) { try self.init(SplitExpressionParser.parse(source)) }

    init(_ node: ExpressionNode) throws(ExpressionError) {
        if node.canBeEmpty { throw ExpressionError("an expression that can match nothing isn't supported") }
        first = node.first.map(CodePointTable.init)
        try compile(node)
        try emit(.found)
    }

    private mutating func emit(_ instruction: Instruction) throws(ExpressionError) {
        if program.count == Self.sizeLimit { throw ExpressionError("it is too large") }
        program.append(instruction)
    }

    private mutating func add(_ set: CodePointSet) -> Int {
        sets.append(CodePointTable(set))
        return sets.count - 1
    }

    private mutating func compile(_ node: ExpressionNode) throws(ExpressionError) {
        switch node {
        case .characters(let set): try emit(.character(add(set)))
        case .look(let set, let isAhead, let isNegative):
            try emit(.look(set: add(set), isAhead: isAhead, isNegative: isNegative))
        case .sequence(let parts): for part in parts { try compile(part) }
        case .alternatives(let parts):
            var ends: [Int] = []
            for (index, part) in parts.enumerated() {
                if index == parts.count - 1 {
                    try compile(part)
                    break
                }
                let branch = program.count
                let first = part.first.map { add($0) }
                try emit(.branch(other: 0, first: first))
                try compile(part)
                ends.append(program.count)
                try emit(.jump(0))
                program[branch] = .branch(other: program.count, first: first)
            }
            for end in ends { program[end] = .jump(program.count) }
        case .repeated(.characters(let set), let least, let most, let greed) where greed != .lazy:
            try emit(.run(set: add(set), least: least, most: most ?? .max, isPossessive: greed == .possessive))
        case .repeated(let part, let least, let most, let greed): try compile(part, least, most, greed)
        }
    }

    private mutating func compile(
        _ part: ExpressionNode, _ least: Int, _ most: Int?, _ greed: ExpressionNode.Greed
    ) throws(ExpressionError) {
        if greed == .possessive { throw ExpressionError("a possessive repeat of a group isn't supported") }
        if part.canBeEmpty { throw ExpressionError("a repeat of what can match nothing isn't supported") }
        for _ in 0..<least { try compile(part) }
        let first = part.first.map { add($0) }
        func branch(_ other: Int) -> Instruction {
            greed == .lazy ? .lazyBranch(other: other) : .branch(other: other, first: first)
        }
        if let most {
            var branches: [Int] = []
            for _ in least..<most {
                branches.append(program.count)
                try emit(branch(0))
                try compile(part)
            }
            for place in branches { program[place] = branch(program.count) }
        } else {
            let start = program.count
            try emit(branch(0))
            try compile(part)
            try emit(.jump(start))
            program[start] = branch(program.count)
        }
    }
}
