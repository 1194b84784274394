import Diagnostics

/// An expression of a template.
struct Expression: Sendable {
    enum Literal: Sendable {
        case none
        case boolean(Bool)
        case integer(Int)
        case number(Double)
        case string(String)
    }

    enum UnaryOperator: String, Sendable { case plus = "+", minus = "-" }

    enum BinaryOperator: String, Sendable {
        case add = "+", subtract = "-", multiply = "*", divide = "/", floorDivide = "//", remainder = "%", power = "**"
    }

    enum ComparisonOperator: String, Sendable {
        case equal = "==", unequal = "!=", less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">="
        case contained = "in", notContained = "not in"
    }

    struct Comparison: Sendable {
        let operation: ComparisonOperator
        let operand: Expression
    }

    struct Pair: Sendable {
        let key: Expression
        let value: Expression
    }

    struct Slice: Sendable {
        var start: Expression?
        var stop: Expression?
        var step: Expression?
    }

    struct Keyword: Sendable {
        let name: String
        let value: Expression
    }

    struct Arguments: Sendable {
        var positional: [Expression] = []
        var keywords: [Keyword] = []
        /// What `*` and `**` stand before.
        var rest: Expression?
        var keywordRest: Expression?

        var all: [Expression] { positional + keywords.map(\.value) + [rest, keywordRest].compactMap { $0 } }
    }

    indirect enum Kind: Sendable {
        case literal(Literal)
        /// A name's number.
        case name(Int)
        case list([Expression])
        case tuple([Expression])
        case dictionary([Pair])
        case unary(UnaryOperator, Expression)
        case binary(BinaryOperator, Expression, Expression)
        case concatenation([Expression])
        case comparison(Expression, [Comparison])
        case and(Expression, Expression)
        case or(Expression, Expression)
        case not(Expression)
        case conditional(test: Expression, Expression, otherwise: Expression?)
        case attribute(Expression, String)
        case item(Expression, Expression)
        case slice(Expression, Slice)
        case call(Expression, Arguments)
        /// Without an expression what a block holds is filtered.
        case filter(Expression?, String, Arguments)
        case test(Expression, String, Arguments)
    }

    let kind: Kind
    let position: TextPosition
    /// How deep expressions nest in this one.
    let depth: Int

    /// - Throws: `Failure` where the expression nests too deep.
    init(_ kind: Kind, _ position: TextPosition) throws {
        self.kind = kind
        self.position = position
        depth = 1 + (Self.parts(of: kind).lazy.map(\.depth).max() ?? 0)
        if depth > Limits.expressionDepth {
            throw Failure("the expression nests more than \(Limits.expressionDepth) levels deep", at: position)
        }
    }

    /// The expressions right below this one, in the order of Jinja's visitors.
    var parts: [Expression] { Self.parts(of: kind) }

    /// Whether a variable is read.
    var hasNames: Bool { if case .name = kind { true } else { parts.contains(where: \.hasNames) } }

    private static func parts(of kind: Kind) -> [Expression] {
        switch kind {
        case .literal, .name: []
        case .list(let items), .tuple(let items), .concatenation(let items): items
        case .dictionary(let pairs): pairs.flatMap { [$0.key, $0.value] }
        case .unary(_, let operand), .not(let operand), .attribute(let operand, _): [operand]
        case .binary(_, let left, let right), .and(let left, let right), .or(let left, let right),
            .item(let left, let right):
            [left, right]
        case .comparison(let first, let others): [first] + others.map(\.operand)
        case .conditional(let test, let value, let otherwise): [test, value] + (otherwise.map { [$0] } ?? [])
        case .slice(let object, let slice): [object] + [slice.start, slice.stop, slice.step].compactMap { $0 }
        case .call(let callee, let arguments): [callee] + arguments.all
        case .filter(let value, _, let arguments): (value.map { [$0] } ?? []) + arguments.all
        case .test(let value, _, let arguments): [value] + arguments.all
        }
    }
}
