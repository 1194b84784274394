import Glibc

/// The exit codes of the tool, after `sysexits.h`.
public enum ExitStatus: Int32, CaseIterable, Sendable {
    case success = 0
    /// The command line is wrong.
    case usage = 64
    /// A file or a configuration has content that can't be used.
    case badData = 65
    /// A file or folder that is to be read is missing or unreadable.
    case missingInput = 66
    /// A defect of the tool itself.
    case internalError = 70
    /// The system has no memory, thread or file handle left.
    case outOfResources = 71
    /// An output can't be created.
    case cannotCreate = 73
    /// Reading or writing failed half-way.
    case inputOutput = 74
    /// Stopped by the user after saving.
    case interrupted = 130

    /// What an error number of the system means: that something has run out, or else `status`.
    public static func of(_ code: Int32, otherwise status: ExitStatus) -> ExitStatus {
        [EMFILE, ENFILE, ENOMEM].contains(code) ? .outOfResources : status
    }
}

/// Where in a text something stands; lines and columns count from 1, columns in bytes of UTF-8.
public struct TextPosition: Hashable, Sendable {
    public var line: Int
    public var column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// One thing that is wrong with what a user gave: what, where, and what to do.
public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Severity: String, Sendable { case error, warning }

    /// What to do about an error that should not have been possible.
    public static let defectNotice =
        "This is a defect of peft, not of what you gave it. Please report it with the command, its configuration and this "
        + "message."

    public var severity: Severity
    /// The file's path as the user wrote it.
    public var file: String?
    public var position: TextPosition?
    /// The configuration key or the tensor's name that the problem is about.
    public var key: String?
    public var message: String
    public var exitStatus: ExitStatus

    public init(
        _ message: String, file: String? = nil, position: TextPosition? = nil, key: String? = nil,
        severity: Severity = .error, exitStatus: ExitStatus = .badData
    ) {
        self.severity = severity
        self.file = file
        self.position = position
        self.key = key
        self.message = message
        self.exitStatus = exitStatus
    }

    /// `run.yaml:4:9: error: peft.r: expected an integer, got 'eight'`
    public var description: String {
        var text = ""
        if let file { text += file + ":" }
        if let position { text += "\(position.line):\(position.column):" }
        if !text.isEmpty { text += " " }
        text += severity.rawValue + ": "
        if let key { text += key + ": " }
        return text + message
    }
}

/// Several problems found in one pass, reported together.
public struct Problems: Error, Hashable, Sendable, CustomStringConvertible {
    public var list: [Problem]

    public init(_ list: [Problem]) { self.list = list }

    public var description: String { collapsed.map(\.description).joined(separator: "\n") }

    /// The problems as they are shown: one that repeats in more than three layers of a model is said once, with a count.
    public var collapsed: [Problem] {
        var groups: [Problem: [Problem]] = [:]
        for problem in list { groups[problem.withoutLayer, default: []].append(problem) }
        var shown: [Problem] = []
        var said: Set<Problem> = []
        for problem in list {
            let group = groups[problem.withoutLayer] ?? []
            if group.count <= 3 {
                shown.append(problem)
            } else if said.insert(problem.withoutLayer).inserted {
                var first = problem
                first.message += " (and \(group.count - 1) more like it)"
                shown.append(first)
            }
        }
        return shown
    }
}

extension Problem {
    /// The same with the numbers of layers, as in `h.3.attn`, taken out.
    fileprivate var withoutLayer: Problem {
        var problem = self
        problem.message = Self.withoutNumbers(message)
        problem.key = key.map(Self.withoutNumbers)
        return problem
    }

    private static func withoutNumbers(_ text: String) -> String {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        // A number alone is no layer's.
        if parts.count == 1 { return text }
        return parts.map { !$0.isEmpty && $0.utf8.allSatisfy { $0 &- UInt8(ascii: "0") < 10 } ? "" : $0 }
            .joined(separator: ".")
    }
}

/// Receives what is worth telling the user but stops nothing; the executable decides how it is shown.
public typealias WarningSink = (Problem) -> Void
