import Diagnostics

/// Something that a template does, in the order of its text.
enum Statement: Sendable {
    /// What is assigned to.
    indirect enum Target: Sendable {
        case name(Int)
        case attribute(Int, String, TextPosition)
        case tuple([Target], TextPosition)
    }

    struct Branch: Sendable {
        let test: Expression
        let body: [Statement]
    }

    struct Assignment: Sendable {
        let target: Target
        let value: Expression
    }

    final class Loop: Sendable {
        let target: Target
        let elements: Expression
        let condition: Expression?
        let body: [Statement]
        let otherwise: [Statement]?
        let isRecursive: Bool
        /// Whether the body names `loop`.
        let usesLoop: Bool
        /// The frames of body, condition and `else`.
        let frame: Int
        let conditionFrame: Int
        let otherwiseFrame: Int

        init(
            target: Target, elements: Expression, condition: Expression?, body: [Statement], otherwise: [Statement]?,
            isRecursive: Bool, usesLoop: Bool, firstFrame: Int
        ) {
            self.target = target
            self.elements = elements
            self.condition = condition
            self.body = body
            self.otherwise = otherwise
            self.isRecursive = isRecursive
            self.usesLoop = usesLoop
            frame = firstFrame
            conditionFrame = firstFrame + 1
            otherwiseFrame = firstFrame + 2
        }
    }

    final class Macro: Sendable {
        /// Nil where it is the body of a call block.
        let name: String?
        /// The number of its name.
        let number: Int
        let parameters: [Int]
        let parameterNames: [String]
        /// Of the last parameters.
        let defaults: [Expression]
        let body: [Statement]
        let frame: Int
        /// Which of the special names it uses without declaring them.
        let usesCaller: Bool
        let usesKeywords: Bool
        let usesVariables: Bool

        init(
            name: String?, number: Int, parameters: [Int], parameterNames: [String], defaults: [Expression],
            body: [Statement], frame: Int, special: Set<Int>
        ) {
            self.name = name
            self.number = number
            self.parameters = parameters
            self.parameterNames = parameterNames
            self.defaults = defaults
            self.body = body
            self.frame = frame
            usesCaller = special.contains(SpecialName.caller)
            usesKeywords = special.contains(SpecialName.keywords)
            usesVariables = special.contains(SpecialName.variables)
        }
    }

    case text(String)
    case output(Expression)
    case assign(Target, Expression)
    case assignBlock(Target, filter: Expression?, [Statement], frame: Int)
    case loop(Loop)
    case conditional([Branch], otherwise: [Statement])
    case macro(Macro)
    case callBlock(Macro, call: Expression)
    case generation(Macro)
    case filterBlock(Expression, [Statement], frame: Int)
    case with([Assignment], [Statement], frame: Int)
    case breakLoop
    case continueLoop
}

/// The numbers of names that mean something by themselves.
enum SpecialName {
    static let caller = 0
    static let keywords = 1
    static let variables = 2
    static let loop = 3
    static let all = ["caller", "kwargs", "varargs", "loop"]
}
