import Diagnostics
import Glibc

/// Lines of stdin, taken as they come: whoever waits for an answer gets it, and who sends many is served in batches.
struct LineInput {
    struct Line {
        var number: Int
        var text: String
    }

    private let name: String
    private var pending: [UInt8] = []
    private var isAtEnd = false
    private var lineCount = 0

    /// - Parameter name: Stands for the input in messages.
    init(name: String) { self.name = name }

    /// Waits for a line, and takes along what else is there already; nil at the end.
    ///
    /// Throws a `Problem` with the line where it isn't UTF-8, or reading fails.
    mutating func next(atMost limit: Int) throws -> [Line]? {
        var lines: [Line] = []
        while lines.count < limit {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                lines.append(try line(pending[..<end]))
                pending.removeSubrange(...end)
            } else if isAtEnd {
                if !pending.isEmpty { lines.append(try line(pending[...])) }
                pending = []
                break
            } else if lines.isEmpty || isReady {
                try read()
            } else {
                break
            }
        }
        return lines.isEmpty ? nil : lines
    }

    /// All that is left.
    mutating func rest() throws -> [UInt8] {
        while !isAtEnd { try read() }
        defer { pending = [] }
        return pending
    }

    private var isReady: Bool {
        var descriptor = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, 0) > 0
    }

    private mutating func read() throws {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = Glibc.read(STDIN_FILENO, &buffer, buffer.count)
        if count < 0, errno == EINTR { return }
        if count < 0 {
            throw Problem("can't be read: \(String(cString: strerror(errno)))", file: name, exitStatus: .inputOutput)
        }
        if count == 0 { isAtEnd = true }
        pending += buffer[..<count]
    }

    private mutating func line(_ bytes: ArraySlice<UInt8>) throws -> Line {
        lineCount += 1
        let content = bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes
        guard let text = String(validating: content, as: UTF8.self) else {
            throw Problem("invalid UTF-8", file: name, position: TextPosition(line: lineCount, column: 1))
        }
        return Line(number: lineCount, text: text)
    }
}
