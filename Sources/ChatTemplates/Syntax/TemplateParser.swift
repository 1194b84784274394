import Diagnostics

/// Takes a template apart by Jinja's grammar.
struct TemplateParser {
    let tokens: [TemplateToken]
    var index = 0
    /// The names in the template, by number.
    private(set) var names = SpecialName.all
    private var numbers: [String: Int] = [:]
    var frameCount = 1
    var loopDepth = 0
    var statementDepth = 0
    var expressionDepth = 0

    init(_ source: String) throws {
        if source.utf8.count > Limits.templateLength {
            throw Failure("the template has more than \(Limits.templateLength) bytes")
        }
        tokens = try TemplateLexer.tokens(of: source)
        for (number, name) in names.enumerated() { numbers[name] = number }
    }

    mutating func parseAll() throws -> [Statement] {
        let body = try parseBody(until: [], of: nil)
        return body
    }

    var current: TemplateToken { tokens[index] }
    var following: TemplateToken { tokens[min(index + 1, tokens.count - 1)] }

    mutating func advance() { if index + 1 < tokens.count { index += 1 } }

    func isAt(symbol: String) -> Bool { current.kind == .symbol && current.text == symbol }
    func isAt(name: String) -> Bool { current.kind == .name && current.text == name }

    mutating func skip(symbol: String) -> Bool {
        guard isAt(symbol: symbol) else { return false }
        advance()
        return true
    }

    mutating func skip(name: String) -> Bool {
        guard isAt(name: name) else { return false }
        advance()
        return true
    }

    func unexpected(_ wanted: String) -> Failure {
        Failure("expected \(wanted), found \(current.shown)", at: current.position)
    }

    mutating func expect(symbol: String) throws {
        if !skip(symbol: symbol) { throw unexpected("'\(symbol)'") }
    }

    mutating func expect(name: String) throws {
        if !skip(name: name) { throw unexpected("'\(name)'") }
    }

    mutating func expect(_ kind: TemplateToken.Kind, _ wanted: String) throws {
        if current.kind != kind { throw unexpected(wanted) }
        advance()
    }

    mutating func expectName() throws -> String {
        guard current.kind == .name else { throw unexpected("a name") }
        let name = current.text
        advance()
        return name
    }

    mutating func number(of name: String) -> Int {
        if let number = numbers[name] { return number }
        numbers[name] = names.count
        names.append(name)
        return names.count - 1
    }

    mutating func newFrame() -> Int {
        frameCount += 1
        return frameCount - 1
    }

    /// Reads up to a tag that begins with one of `ends`, whose name is then current; without any the whole template.
    mutating func parseBody(until ends: [String], of opening: TemplateToken?) throws -> [Statement] {
        statementDepth += 1
        defer { statementDepth -= 1 }
        if statementDepth > Limits.statementDepth {
            throw Failure(
                "tags stand more than \(Limits.statementDepth) levels deep within each other", at: current.position)
        }
        var body: [Statement] = []
        while true {
            switch current.kind {
            case .text:
                body.append(.text(current.text))
                advance()
            case .printStart:
                advance()
                body.append(.output(try parseTuple()))
                try expect(.printEnd, "'}}'")
            case .tagStart:
                advance()
                if current.kind == .name, ends.contains(current.text) { return body }
                body += try parseStatement(ends, opening)
                try expect(.tagEnd, "'%}'")
            default:
                if let opening {
                    throw Failure(
                        "'\(opening.text)' has no end; write {% \(ends.last ?? "") %} behind it", at: opening.position)
                }
                return body
            }
        }
    }

    /// Reads the rest of a tag and what stands behind it up to one of `ends`, whose name is then current.
    mutating func parseBlock(until ends: [String], of opening: TemplateToken) throws -> [Statement] {
        // As after Python's statements, a colon may stand here.
        _ = skip(symbol: ":")
        try expect(.tagEnd, "'%}'")
        return try parseBody(until: ends, of: opening)
    }
}
