import ArgumentParser
import Diagnostics

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
        case let problems as Problems: kind = .problems(problems.list)
        case let code as ExitCode: kind = .silent(code.rawValue)
        // The parser knows its own errors, and gives all others the status 1.
        default: kind = Peft.exitCode(for: error) == .failure ? .unexpected(error) : .usage(error)
        }
    }

    /// Writes the message, and returns the exit status.
    func report() -> Int32 {
        switch kind {
        case .problems(let problems):
            for problem in problems { Console.report(problem) }
            let first = problems.first { $0.severity == .error } ?? problems.first
            return (first?.exitStatus ?? .internalError).rawValue
        case .silent(let status): return status
        case .usage(let error): Peft.exit(withError: error)
        case .unexpected(let error):
            Console.report(
                Problem(
                    "unexpected: \(error)\nThis is a defect of peft, not of what you gave it. Please report it with the "
                        + "command, its configuration and this message.", exitStatus: .internalError))
            return ExitStatus.internalError.rawValue
        }
    }
}
