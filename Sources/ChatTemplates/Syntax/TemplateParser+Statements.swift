import Diagnostics

extension TemplateParser {
    /// Tags that Jinja has, and templates for chats can't use or don't.
    private static let unsupported: Set<String> = [
        "block", "extends", "include", "import", "from", "autoescape", "trans", "pluralize", "debug",
    ]

    /// Reads a tag behind `{%`, and all that belongs to it, but for the last `%}`.
    mutating func parseStatement(_ ends: [String], _ opening: TemplateToken?) throws -> [Statement] {
        let tag = current
        guard tag.kind == .name else { throw unexpected("the name of a tag") }
        switch tag.text {
        case "for": return [try parseLoop()]
        case "if": return [try parseConditional()]
        case "set": return [try parseSet()]
        case "macro": return [try parseMacro()]
        case "call": return [try parseCallBlock()]
        case "filter": return [try parseFilterBlock()]
        case "with": return [try parseWith()]
        case "print": return try parsePrint()
        case "generation":
            advance()
            return [.generation(try parseFunction(tag, end: "endgeneration"))]
        case "break", "continue":
            if loopDepth == 0 { throw Failure("'\(tag.text)' stands outside of a loop", at: tag.position) }
            advance()
            return [tag.text == "break" ? .breakLoop : .continueLoop]
        default: throw unknown(tag, ends, opening)
        }
    }

    private func unknown(_ tag: TemplateToken, _ ends: [String], _ opening: TemplateToken?) -> Failure {
        if Self.unsupported.contains(tag.text) {
            return Failure("the tag '\(tag.text)' isn't supported", at: tag.position)
        }
        if tag.text == "do" {
            return Failure("the tag 'do' isn't known, as it isn't to transformers; use 'set'", at: tag.position)
        }
        let isEnd = tag.text.hasPrefix("end") || tag.text == "else" || tag.text == "elif"
        guard isEnd, let opening else {
            let reason = isEnd ? "has nothing to end here" : "isn't known"
            return Failure("the tag '\(tag.text)' \(reason)", at: tag.position)
        }
        let wanted = ends.map { "'\($0)'" }.joined(separator: " or ")
        return Failure(
            "found '\(tag.text)' where \(wanted) has to end the '\(opening.text)' of line \(opening.position.line) first",
            at: tag.position)
    }

    private mutating func parseLoop() throws -> Statement {
        let opening = current
        advance()
        let firstFrame = frameCount
        frameCount += 3
        let target = try parseTarget()
        try expect(name: "in")
        let elements = try parseTuple(allowsConditional: false)
        let condition = skip(name: "if") ? try parseExpression() : nil
        let isRecursive = skip(name: "recursive")
        loopDepth += 1
        let body = try parseBlock(until: ["else", "endfor"], of: opening)
        loopDepth -= 1
        var otherwise: [Statement]?
        if skip(name: "else") { otherwise = try parseBlock(until: ["endfor"], of: opening) }
        advance()
        let loop = Statement.Loop(
            target: target, elements: elements, condition: condition, body: body, otherwise: otherwise,
            isRecursive: isRecursive,
            usesLoop: isRecursive || !UndeclaredNames.find([SpecialName.loop], in: body).isEmpty, firstFrame: firstFrame
        )
        if StoredNames.store(SpecialName.loop, in: .loop(loop)) {
            throw Failure("'loop' can't be assigned to in a loop", at: opening.position)
        }
        return .loop(loop)
    }

    private mutating func parseConditional() throws -> Statement {
        let opening = current
        var branches: [Statement.Branch] = []
        var otherwise: [Statement] = []
        advance()
        while true {
            let test = try parseTuple(allowsConditional: false)
            let body = try parseBlock(until: ["elif", "else", "endif"], of: opening)
            branches.append(Statement.Branch(test: test, body: body))
            if skip(name: "elif") { continue }
            if skip(name: "else") { otherwise = try parseBlock(until: ["endif"], of: opening) }
            advance()
            return .conditional(branches, otherwise: otherwise)
        }
    }

    private mutating func parseSet() throws -> Statement {
        let opening = current
        advance()
        let target = try parseTarget(allowsAttribute: true)
        if skip(symbol: "=") { return .assign(target, try parseTuple()) }
        let frame = newFrame()
        let filter = isAt(symbol: "|") ? try parseFilters(of: nil) : nil
        let body = try parseBlock(until: ["endset"], of: opening)
        advance()
        return .assignBlock(target, filter: filter, body, frame: frame)
    }

    private mutating func parseMacro() throws -> Statement {
        let opening = current
        advance()
        let place = current.position
        let name = try expectName()
        try checkAssignable(name, place)
        return .macro(try parseFunction(opening, end: "endmacro", name: name, hasSignature: true))
    }

    private mutating func parseCallBlock() throws -> Statement {
        let opening = current
        advance()
        let frame = newFrame()
        let signature = isAt(symbol: "(") ? try parseSignature() : Signature()
        let call = try parseExpression()
        guard case .call = call.kind else { throw Failure("'call' needs a call of a macro", at: call.position) }
        let body = try parseFunctionBody(opening, end: "endcall")
        return .callBlock(try function(nil, signature, body, frame, opening.position), call: call)
    }

    private struct Signature {
        var parameters: [Int] = []
        var defaults: [Expression] = []
    }

    private mutating func parseFunction(
        _ opening: TemplateToken, end: String, name: String? = nil, hasSignature: Bool = false
    ) throws -> Statement.Macro {
        let frame = newFrame()
        let signature = hasSignature ? try parseSignature() : Signature()
        let body = try parseFunctionBody(opening, end: end)
        return try function(name, signature, body, frame, opening.position)
    }

    private mutating func parseFunctionBody(_ opening: TemplateToken, end: String) throws -> [Statement] {
        // A loop around doesn't reach into a function.
        let outer = loopDepth
        loopDepth = 0
        let body = try parseBlock(until: [end], of: opening)
        loopDepth = outer
        advance()
        return body
    }

    private mutating func function(
        _ name: String?, _ signature: Signature, _ body: [Statement], _ frame: Int, _ place: TextPosition
    ) throws -> Statement.Macro {
        let special = UndeclaredNames.find(
            [SpecialName.caller, SpecialName.keywords, SpecialName.variables], in: body)
        let parameters = signature.parameters
        if special.contains(SpecialName.caller), let place = parameters.firstIndex(of: SpecialName.caller),
            place < parameters.count - signature.defaults.count
        {
            throw Failure("the parameter 'caller' needs a default value", at: current.position)
        }
        if Set(parameters).count != parameters.count {
            throw Failure("two parameters have the same name", at: place)
        }
        return Statement.Macro(
            name: name, number: name.map { number(of: $0) } ?? -1, parameters: parameters,
            parameterNames: parameters.map { names[$0] }, defaults: signature.defaults, body: body, frame: frame,
            special: special.subtracting(parameters))
    }

    private mutating func parseSignature() throws -> Signature {
        var signature = Signature()
        try expect(symbol: "(")
        while !isAt(symbol: ")") {
            if !signature.parameters.isEmpty { try expect(symbol: ",") }
            let place = current.position
            let name = try expectName()
            try checkAssignable(name, place)
            if skip(symbol: "=") {
                signature.defaults.append(try parseExpression())
            } else if !signature.defaults.isEmpty {
                throw Failure("the parameter '\(name)' needs a default value, as the one before it has", at: place)
            }
            signature.parameters.append(number(of: name))
        }
        try expect(symbol: ")")
        return signature
    }

    private mutating func parseFilterBlock() throws -> Statement {
        let opening = current
        advance()
        let frame = newFrame()
        let filter = try parseFilters(of: nil, isFirst: true)
        let body = try parseBlock(until: ["endfilter"], of: opening)
        advance()
        return .filterBlock(filter, body, frame: frame)
    }

    private mutating func parseWith() throws -> Statement {
        let opening = current
        advance()
        let frame = newFrame()
        var assignments: [Statement.Assignment] = []
        while current.kind != .tagEnd {
            if !assignments.isEmpty { try expect(symbol: ",") }
            let target = try parseTarget()
            try expect(symbol: "=")
            assignments.append(Statement.Assignment(target: target, value: try parseExpression()))
        }
        let body = try parseBlock(until: ["endwith"], of: opening)
        advance()
        return .with(assignments, body, frame: frame)
    }

    private mutating func parsePrint() throws -> [Statement] {
        advance()
        var outputs: [Statement] = []
        while current.kind != .tagEnd {
            if !outputs.isEmpty { try expect(symbol: ",") }
            outputs.append(.output(try parseExpression()))
        }
        return outputs
    }
}
