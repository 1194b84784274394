import Datasets
import Diagnostics
import Glibc

/// Records of files and of stdin in their order, some at a time, a broken one as its problem.
struct RecordInput {
    typealias Item = Result<Record, Problem>

    private enum Source {
        /// Lines as they come; whether they are JSON is told by the first where nothing else does.
        case lines(LineInput, Record.LineKind)
        /// What is left of a file that was read as a whole.
        case records(ArraySlice<Record>)
    }

    private var sources: ArraySlice<Source>

    /// - Parameter paths: Files, and `-` for stdin.
    /// - Throws: `Problem` for a file that isn't there, or whose name doesn't tell what it holds, and for one that can only
    ///   be read as a whole and is broken.
    init(_ paths: [String]) throws {
        if paths.contains("-") { LineInput.announceTerminal("records") }
        sources = try paths.map { path in
            if path == "-" { return .lines(LineInput(name: "stdin"), .none) }
            let kind = try Record.lineKind(of: path)
            if kind == .none { return .records(try Record.all(of: path)[...]) }
            return .lines(try LineInput(path: path), kind)
        }[...]
    }

    /// The next records, at most so many; nil at the end.
    mutating func next(atMost limit: Int) throws -> [Item]? {
        while let source = sources.first {
            switch source {
            case .records(let records):
                if records.isEmpty { break }
                sources[sources.startIndex] = .records(records.dropFirst(limit))
                return records.prefix(limit).map { .success($0) }
            case .lines(var input, var kind):
                // The copy in the list would make each line copy the buffer.
                sources[sources.startIndex] = .records([])
                let lines = try input.next(atMost: limit)
                guard let lines else { break }
                let content = lines.filter { !$0.isBlank }
                if kind == .none, let first = content.first {
                    kind = first.bytes.first { $0 != 0x20 && $0 != 0x09 } == UInt8(ascii: "{") ? .json : .text
                }
                sources[sources.startIndex] = .lines(input, kind)
                return content.map { line in
                    do {
                        let make = kind == .json ? Record.json : Record.text
                        return .success(try make(line.bytes, input.name, line.number))
                    } catch let problem as Problem {
                        return .failure(problem)
                    } catch {
                        return .failure(Problem("\(error)", file: input.name))
                    }
                }
            }
            sources = sources.dropFirst()
        }
        return nil
    }
}
