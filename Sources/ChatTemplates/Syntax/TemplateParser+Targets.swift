import Diagnostics

extension TemplateParser {
    /// Reads what is assigned to: a name, names with commas between, or an attribute of a namespace.
    mutating func parseTarget(allowsAttribute: Bool = false) throws -> Statement.Target {
        let place = current.position
        var targets: [Statement.Target] = []
        var isTuple = false
        while true {
            if !targets.isEmpty { try expect(symbol: ",") }
            if isEndOfTuple { break }
            targets.append(try parseSingleTarget(allowsAttribute))
            guard isAt(symbol: ",") else { break }
            isTuple = true
        }
        if !isTuple, let target = targets.first { return target }
        if targets.isEmpty { throw unexpected("a name to assign to") }
        return .tuple(targets, place)
    }

    private mutating func parseSingleTarget(_ allowsAttribute: Bool) throws -> Statement.Target {
        let place = current.position
        if skip(symbol: "(") {
            expressionDepth += 1
            defer { expressionDepth -= 1 }
            if expressionDepth > Limits.statementDepth { throw Failure("the names nest too deep", at: place) }
            var targets: [Statement.Target] = []
            var isTuple = false
            while !isAt(symbol: ")") {
                targets.append(try parseSingleTarget(false))
                if isAt(symbol: ")") { break }
                try expect(symbol: ",")
                isTuple = true
            }
            try expect(symbol: ")")
            return targets.count == 1 && !isTuple ? targets[0] : .tuple(targets, place)
        }
        let name = try expectName()
        try checkAssignable(name, place)
        if allowsAttribute, skip(symbol: ".") { return .attribute(number(of: name), try expectName(), place) }
        return .name(number(of: name))
    }

    func checkAssignable(_ name: String, _ place: TextPosition) throws {
        if ["true", "false", "none", "True", "False", "None"].contains(name) {
            throw Failure("'\(name)' can't be assigned to", at: place)
        }
    }
}
