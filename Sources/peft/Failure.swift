import ArgumentParser
import Diagnostics
import Ranks

/// What ended a command, in the words and with the exit status that the user sees.
struct Failure {
    private enum Kind {
        case problems([Problem])
        case silent(Int32)
        /// Help or wrong usage, which the parser words.
        case usage(any Error)
        case unexpected(any Error)
    }

    private let kind: Kind

    init(_ error: any Error) {
        switch error {
        case let problem as Problem: kind = .problems([problem])
        case let problems as Problems: kind = .problems(problems.collapsed)
        // The one that says why has the status, too.
        case is OthersFailed: kind = .silent(ExitStatus.success.rawValue)
        case let code as ExitCode: kind = .silent(code.rawValue)
        // The parser knows its own errors, and gives all others the status 1.
        default: kind = Peft.exitCode(for: error) == .failure ? .unexpected(error) : .usage(error)
        }
    }

    /// Writes the message, and returns the exit status.
    func report() -> Int32 {
        switch kind {
        case .problems(let problems):
            for problem in problems { Console.reportEnd(problem) }
            let first = problems.first { $0.severity == .error } ?? problems.first
            return (first?.exitStatus ?? .internalError).rawValue
        case .silent(let status): return status
        case .usage(let error):
            let status = Peft.exitCode(for: error)
            let message = Peft.fullMessage(for: error)
            if status.isSuccess { Console.line(message) } else { Console.warn(message) }
            return status.rawValue
        case .unexpected(let error):
            Console.reportEnd(
                Problem("unexpected: \(error)\n\(Problem.defectNotice)", exitStatus: .internalError))
            return ExitStatus.internalError.rawValue
        }
    }
}
