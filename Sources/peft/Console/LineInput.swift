import Diagnostics
import Files
import Glibc
import JSONText
import Ranks

/// Lines of stdin or of a file, taken as they come: whoever waits for an answer gets it, and who sends many is served in
/// batches.
struct LineInput {
    struct Line {
        var number: Int
        /// Without the line's end.
        var bytes: [UInt8]

        var isBlank: Bool { bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 } }
    }

    /// A descriptor that is closed with the last reference to it.
    private final class OpenFile {
        let descriptor: Int32
        init(_ descriptor: Int32) { self.descriptor = descriptor }
        deinit { if descriptor != STDIN_FILENO { close(descriptor) } }
    }

    /// Stands for the input in messages.
    let name: String
    private let file: OpenFile
    private var pending: [UInt8] = []
    /// How many bytes of `pending` were given out, and how many hold no line break that wasn't.
    private var (taken, searched) = (0, 0)
    private var isAtEnd = false
    private var lineCount = 0

    /// Lines of stdin.
    ///
    /// - Parameter name: Stands for the input in messages.
    init(name: String) {
        self.name = name
        file = OpenFile(STDIN_FILENO)
    }

    /// Lines of a file; throws a `Problem` where it can't be opened.
    init(path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 {
            let reason = errno == ENOENT ? "no such file" : "can't be read: \(String(cString: strerror(errno)))"
            throw Problem(reason, file: path, exitStatus: .missingInput)
        }
        name = path
        file = OpenFile(descriptor)
    }

    /// Tells who sits at a terminal that the tool waits for them.
    static func announceTerminal(_ what: String) {
        guard isatty(STDIN_FILENO) == 1 else { return }
        Console.note("reading \(what) from the terminal, a line each; Ctrl-D ends")
    }

    /// Waits for a line, and takes along what else is there already; nil at the end.
    ///
    /// Throws a `Problem` where reading fails.
    ///
    /// Of processes that work together the first one reads for all: a launcher gives stdin to no other.
    mutating func next(atMost limit: Int) throws -> [Line]? {
        guard let ranks = Communicator.current else { return try own(atMost: limit) }
        let lines = ranks.isFirst ? try own(atMost: limit) ?? [] : []
        let numbers = ranks.broadcast(
            lines.map { "\($0.number) \($0.bytes.count)" }.joined(separator: " ").utf8.map { $0 })
        var rest = ranks.broadcast(lines.flatMap(\.bytes))[...]
        let counts = String(decoding: numbers, as: UTF8.self).split(separator: " ").compactMap { Int($0) }
        let all = stride(from: 0, to: counts.count, by: 2).map { index in
            defer { rest = rest.dropFirst(counts[index + 1]) }
            return Line(number: counts[index], bytes: Array(rest.prefix(counts[index + 1])))
        }
        return all.isEmpty ? nil : all
    }

    private mutating func own(atMost limit: Int) throws -> [Line]? {
        var lines: [Line] = []
        while lines.count < limit {
            let end = pending[searched...].firstIndex { $0 == Self.newline || $0 == Self.carriageReturn }
            // Whether \r ends a line by itself is told by what follows.
            if let end, pending[end] == Self.newline || end + 1 < pending.count || isAtEnd {
                lines.append(line(pending[taken..<end]))
                let isPair = pending[end...].prefix(2).elementsEqual([Self.carriageReturn, Self.newline])
                taken = end + (isPair ? 2 : 1)
                searched = taken
            } else if isAtEnd {
                if taken < pending.count { lines.append(line(pending[taken...])) }
                forget(upTo: pending.count)
                break
            } else {
                searched = end ?? pending.count
                guard lines.isEmpty || isReady else { break }
                try read()
            }
        }
        forget(upTo: taken)
        return lines.isEmpty ? nil : lines
    }

    /// All that is left.
    mutating func rest() throws -> [UInt8] {
        guard let ranks = Communicator.current else { return try ownRest() }
        return ranks.broadcast(ranks.isFirst ? try ownRest() : [])
    }

    private mutating func ownRest() throws -> [UInt8] {
        while !isAtEnd { try read() }
        defer { forget(upTo: pending.count) }
        return Array(pending[taken...])
    }

    private mutating func forget(upTo end: Int) {
        pending.removeSubrange(..<end)
        (taken, searched) = (0, max(0, searched - end))
    }

    private var isReady: Bool {
        var descriptor = pollfd(fd: file.descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, 0) > 0
    }

    private mutating func read() throws {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = Glibc.read(file.descriptor, &buffer, buffer.count)
        if count < 0, errno == EINTR { return }
        if count < 0 {
            let isFolder = errno == EISDIR
            throw Problem(
                isFolder ? "expected a file, found a folder" : "can't be read: \(String(cString: strerror(errno)))",
                file: name, exitStatus: isFolder ? .missingInput : .inputOutput)
        }
        if count == 0 { isAtEnd = true }
        pending += buffer[..<count]
        if lineCount == 0 {
            let text = pending[taken...]
            let start = try text.withUnsafeBytes { try textStart(of: $0, file: name) }
            if start > 0 { pending.removeSubrange(taken..<taken + start) }
        }
    }

    private static let newline = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    private mutating func line(_ bytes: ArraySlice<UInt8>) -> Line {
        lineCount += 1
        return Line(number: lineCount, bytes: Array(bytes))
    }
}
