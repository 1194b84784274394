import Diagnostics
import Glibc
import Yams

extension ConfigNode {
    /// Reads a YAML text; an empty one is an empty mapping. Throws a `Problem` with the place of what is wrong.
    static func parse(yaml: String, file: String?) throws -> ConfigNode {
        let mark: UnicodeScalar = "\u{FEFF}"
        let isMarked = yaml.unicodeScalars.first == mark
        let source = YAMLSource(text: isMarked ? String(yaml.unicodeScalars.dropFirst()) : yaml, file: file)
        // The basic resolver has no rules: types are decided where a value is read.
        guard let root = try source.compose() else {
            return ConfigNode(.mapping([]), place: .file(file, nil))
        }
        var budget = YAMLSource.nodeLimit
        return try source.node(root, budget: &budget) { .file(file, $0) }
    }

    /// Reads the value of an override; text that is no YAML stands for itself.
    static func parse(override text: String, place: Place) -> ConfigNode {
        let source = YAMLSource(text: text, file: nil)
        var budget = YAMLSource.nodeLimit
        guard let root = try? source.compose(),
            let node = try? source.node(root, budget: &budget, place: { _ in place })
        else {
            let isEmpty = text.utf8.allSatisfy { $0 == UInt8(ascii: " ") }
            return ConfigNode(isEmpty ? .null : .scalar(text, isQuoted: true), place: place)
        }
        return node
    }
}

private struct YAMLSource {
    /// Aliases can make a small file stand for an enormous tree.
    static let nodeLimit = 100_000

    let text: String
    let file: String?
    private let lines: [Substring.UTF8View]

    init(text: String, file: String?) {
        self.text = text
        self.file = file
        // The one line end that takes two bytes leaves an empty line behind, which counts for none.
        var lines: [Substring.UTF8View] = []
        var start = text.utf8.startIndex
        var isAfterReturn = false
        for index in text.utf8.indices {
            let byte = text.utf8[index]
            let isReturn = byte == UInt8(ascii: "\r")
            if isReturn || byte == UInt8(ascii: "\n") {
                let next = text.utf8.index(after: index)
                if isReturn || !isAfterReturn { lines.append(text[start..<index].utf8) }
                start = next
            }
            isAfterReturn = isReturn
        }
        lines.append(text[start...].utf8)
        self.lines = lines
    }

    func compose() throws -> Node? {
        try limitAliases()
        do {
            return try Yams.compose(yaml: text, .basic, .default, .utf8)
        } catch let error as YamlError {
            throw problem(error)
        }
    }

    /// Throws where aliases could multiply into more than can be gone through: the parser compares the keys of a mapping
    /// by all that they stand for, before anything can be counted.
    private func limitAliases() throws {
        let most = 1e7
        var (anchors, aliases) = (0.0, 0.0)
        var before = (UInt8(ascii: " "), UInt8(ascii: " "))
        let space = Set(" \t\r\n,:[{?-".utf8)
        for byte in text.utf8 {
            if space.contains(before.0), !space.contains(byte) {
                if before.1 == UInt8(ascii: "*") { aliases += 1 }
                if before.1 == UInt8(ascii: "&") { anchors += 1 }
            }
            before = (before.1, byte)
        }
        // Spread evenly over the anchors, but three or more at each, they stand for the most.
        let levels = min(anchors, max(1, aliases / 3))
        if levels > 0, Double(text.utf8.count) * pow(max(1, aliases / levels), levels) > most {
            throw Problem(
                "\(Int(aliases)) aliases (*name) could stand for more values than a configuration has: write them out",
                file: file)
        }
    }

    /// Columns count bytes here and Unicode scalars in libYAML.
    private func position(_ mark: Mark?) -> TextPosition? {
        guard let mark, mark.line > 0 else { return nil }
        guard mark.line <= lines.count else { return TextPosition(line: mark.line, column: mark.column) }
        let before = Substring(lines[mark.line - 1]).unicodeScalars.prefix(max(0, mark.column - 1))
        return TextPosition(line: mark.line, column: Substring(before).utf8.count + 1)
    }

    private func character(at mark: Mark) -> UnicodeScalar? {
        guard mark.line > 0, mark.line <= lines.count else { return nil }
        return Substring(lines[mark.line - 1]).unicodeScalars.dropFirst(max(0, mark.column - 1)).first
    }

    private func problem(_ message: String, _ mark: Mark?) -> Problem {
        Problem(message, file: file, position: position(mark))
    }

    private func problem(_ error: YamlError) -> Problem {
        switch error {
        case .scanner(let context, let text, let mark, _), .parser(let context, let text, let mark, _),
            .composer(let context, let text, let mark, _):
            if character(at: mark) == "\t" {
                return problem(
                    "not valid YAML: a tab stands where a value or a key is expected; indent with spaces", mark)
            }
            let circumstance = context.map { "\($0.text.trimmed) " } ?? ""
            return problem("not valid YAML: \(circumstance)\(text)", mark)
        case .duplicatedKeysInMapping(let keys, let context):
            if keys.contains("<uncovertable>") { return problem("a key must be a word", context.mark) }
            let names = keys.map { "'\($0)'" }.joined(separator: ", ")
            return problem(
                "the \(keys.count == 1 ? "key" : "keys") \(names) "
                    + "\(keys.count == 1 ? "appears" : "appear") more than once in this mapping",
                context.mark)
        case .reader(let text, let offset, _, _):
            let before = self.text.utf8.prefix(offset ?? 0)
            let line = before.count { $0 == UInt8(ascii: "\n") } + 1
            let column = before.reversed().prefix { $0 != UInt8(ascii: "\n") }.count + 1
            return Problem(
                "not valid YAML: \(text)", file: file,
                position: offset.map { _ in TextPosition(line: line, column: column) })
        default: return Problem("not valid YAML: \(error)", file: file)
        }
    }

    func node(
        _ node: Node, budget: inout Int, place: (TextPosition?) -> ConfigNode.Place
    ) throws -> ConfigNode {
        budget -= 1
        if budget < 0 { throw problem("more than \(Self.nodeLimit) values (do aliases repeat each other?)", node.mark) }
        let content: ConfigNode.Content
        switch node {
        case .scalar(let scalar):
            let isPlain = scalar.style == .plain || scalar.style == .any
            let isNull = isPlain && ["", "null", "Null", "NULL", "~"].contains(scalar.string)
            content = isNull ? .null : .scalar(scalar.string, isQuoted: !isPlain)
        case .sequence(let sequence):
            var values: [ConfigNode] = []
            for value in sequence { values.append(try self.node(value, budget: &budget, place: place)) }
            content = .list(values)
        case .mapping(let mapping):
            var entries: [ConfigNode.Entry] = []
            for (key, value) in mapping {
                guard let name = key.scalar?.string else { throw problem("a key must be a word", key.mark) }
                entries.append(
                    ConfigNode.Entry(
                        key: name, keyPlace: place(position(key.mark)),
                        value: try self.node(value, budget: &budget, place: place)))
            }
            content = .mapping(entries)
        case .alias: throw problem("an alias without its anchor", node.mark)
        }
        return ConfigNode(content, place: place(position(node.mark)))
    }
}

extension String {
    fileprivate var trimmed: Substring {
        var text = self[...]
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
