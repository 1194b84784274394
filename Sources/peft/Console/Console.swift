import Diagnostics
import Glibc
import Ranks
import Synchronization

/// The two streams of the process: results to stdout, everything for people to stderr.
enum Console {
    private struct State {
        var isQuiet = false
        var speaker: String?
        /// The line at the bottom of the terminal that is written anew again and again.
        var status = ""
    }

    private static let state = Mutex(State())

    /// Open MPI gives processes a terminal of its own for stdout, wherever its own goes.
    static let outputIsTerminal = isatty(STDOUT_FILENO) == 1 && !Communicator.isLaunched
    static let errorIsTerminal = isatty(STDERR_FILENO) == 1
    /// Whether a line on stderr can be written anew.
    static let errorCanRedraw = errorIsTerminal && environment("TERM") != "dumb"
    /// Whether stderr shows colours; https://no-color.org.
    static let errorHasColors = errorCanRedraw && (environment("NO_COLOR") ?? "").isEmpty

    /// The same of stdout.
    static let outputHasColors =
        outputIsTerminal && environment("TERM") != "dumb" && (environment("NO_COLOR") ?? "").isEmpty

    /// Whether notes are left out.
    static var isQuiet: Bool {
        get { state.withLock { $0.isQuiet } }
        set { state.withLock { $0.isQuiet = newValue } }
    }

    /// What this process is called where another one speaks for all: then it says its errors alone, under this name.
    static var speaker: String? {
        get { state.withLock { $0.speaker } }
        set { state.withLock { $0.speaker = newValue } }
    }

    private static var isSilent: Bool { speaker != nil }

    /// Writes a part of the result to stdout, at once.
    ///
    /// Where its reader is gone, as of `peft generate | head -1`, the process ends: nobody wants the rest.
    static func write(_ text: String) {
        if isSilent { return }
        if Output.write(outputIsTerminal ? text.harmless : text, to: STDOUT_FILENO) { return }
        let code = errno
        if code == EPIPE { exit(ExitStatus.success.rawValue) }
        report(
            Problem("stdout can't be written: \(String(cString: strerror(code)))", exitStatus: .inputOutput))
        exit(ExitStatus.inputOutput.rawValue)
    }

    /// Writes a line of the result to stdout.
    static func line(_ text: String) { write(text + "\n") }

    /// Writes a line of the result whose parts have colours, by their numbers, where there are any.
    static func line(_ parts: [(text: String, color: Int?)]) {
        guard outputHasColors, !isSilent else { return line(parts.map(\.text).joined()) }
        let text = parts.map { part in
            let text = part.text.harmless
            guard let color = part.color else { return text }
            return "\u{1B}[38;5;\(terminalColors[color % terminalColors.count])m\(text)\u{1B}[0m"
        }
        if !Output.write(text.joined() + "\n", to: STDOUT_FILENO) { write("") }
    }

    /// Those of `ChartPicture`, as near as terminals have them.
    private static let terminalColors = [33, 202, 35, 175, 214, 117, 246, 133, 143, 73]

    /// Tells the user what happens, unless it is to be quiet.
    static func note(_ text: String) {
        if !isQuiet, !isSilent { message(text.harmless) }
    }

    /// Tells the user parts of a line, marked ones by colour or, where there is none, by brackets; the others have dots
    /// between them.
    static func marked(_ indentation: String, _ parts: [(text: String, isMarked: Bool)]) {
        if isQuiet || isSilent { return }
        var text = indentation
        var wasPlain = false
        for part in parts {
            let shown = part.text.harmless
            if part.isMarked {
                text += errorHasColors ? "\u{1B}[1;32m\(shown)\u{1B}[0m\u{1B}[2m·\u{1B}[0m" : "[\(shown)]"
            } else {
                text +=
                    (wasPlain && !errorHasColors ? "·" : "") + shown
                    + (errorHasColors ? "\u{1B}[2m·\u{1B}[0m" : "")
            }
            wasPlain = !part.isMarked
        }
        message(text)
    }

    /// Tells the user what went wrong in words of its own, even if it is to be quiet.
    static func warn(_ text: String) { message(prefix + text.harmless) }

    private static var prefix: String { speaker.map { "\($0): " } ?? "" }

    /// Shows a warning or an error; fits as a `WarningSink`.
    static func report(_ problem: Problem) {
        if !isSilent { reportEnd(problem) }
    }

    /// Shows what ended the process, even if another one speaks for all.
    static func reportEnd(_ problem: Problem) {
        message(prefix + (errorHasColors ? colored(problem) : problem.description.harmless))
    }

    /// The width of the terminal.
    static var columns: Int { columns(of: STDERR_FILENO) }

    /// The width of the terminal of stdout.
    static var outputColumns: Int { columns(of: STDOUT_FILENO) }

    private static func columns(of descriptor: Int32) -> Int {
        var size = winsize()
        return ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    }

    /// Shows a line at the bottom of the terminal in place of the one before; an empty one takes it away.
    ///
    /// It is cut off where the terminal ends: what wraps could not be written anew.
    static func showStatus(_ text: String) {
        if isSilent { return }
        let text = String(text.prefix(columns - 1))
        state.withLock { state in
            if text == state.status { return }
            state.status = text
            Output.write("\r" + text.harmless + "\u{1B}[K", to: STDERR_FILENO)
        }
    }

    /// Leaves the status line as it stands, on a line of its own.
    static func finish() {
        state.withLock { state in
            if state.status.isEmpty { return }
            state.status = ""
            Output.write("\n", to: STDERR_FILENO)
        }
    }

    /// - Parameter text: Without what moves a terminal, but for colours of ours.
    private static func message(_ text: String) {
        state.withLock { state in
            let clearing = state.status.isEmpty ? "" : "\r\u{1B}[K"
            Output.write(clearing + text + "\n" + state.status.harmless, to: STDERR_FILENO)
        }
    }

    private static func colored(_ problem: Problem) -> String {
        let word = problem.severity.rawValue + ":"
        let text = problem.description.harmless
        guard let range = text.firstRange(of: word) else { return text }
        let color = problem.severity == .error ? "\u{1B}[1;31m" : "\u{1B}[1;33m"
        return text[..<range.lowerBound] + color + word + "\u{1B}[0m" + text[range.upperBound...]
    }

    private static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

/// Writing to a descriptor without a buffer, so that nothing is lost when the process ends.
private enum Output {
    /// Writes all of a text; false where that failed, with `errno` set.
    @discardableResult
    static func write(_ text: String, to descriptor: Int32) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count < 0 {
                    if errno == EINTR { continue }
                    if errno == EAGAIN {
                        var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                        poll(&wait, 1, -1)
                        continue
                    }
                    return false
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
            return true
        }
    }
}
