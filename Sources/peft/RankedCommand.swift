import ArgumentParser
import Diagnostics
import Glibc
import Ranks

/// A command that several processes, started by a launcher of MPI, carry out together.
protocol RankedCommand: ParsableCommand {}

extension ParsableCommand {
    /// Why processes can't carry the command out together.
    static func refusal(of ranks: Communicator) -> Problem {
        let name = configuration.commandName.map { "peft \($0)" } ?? "this"
        return Problem(
            "\(name) is the work of one process, and \(ranks.count) were started: give the command without mpirun; train, "
                + "eval and generate share their work out", exitStatus: .usage)
    }
}

/// How one of several processes ends by an error.
struct RankedEnd {
    /// The exit status, once the message was written and the others know.
    let status: Int32

    init(_ error: any Error) {
        let ranks = Communicator.current
        let isAgreed = ranks?.isOver == true || ranks != nil && error is ExitCode
        if !isAgreed, Communicator.launchedRank > 0, !Self.outlastsTheFirst() {
            // The others have said what there is to say.
            _exit(ExitStatus.interrupted.rawValue)
        }
        status = Failure(error).report()
        guard let ranks else { return }
        if isAgreed {
            ranks.finish()
            return
        }
        // MPICH's launcher may end without having read what was just said.
        usleep(200_000)
        ranks.abort(status: status)
    }

    /// Where all fail alike the first one says so, and the launcher ends the others meanwhile.
    private static func outlastsTheFirst() -> Bool {
        let wasRequested = Interruption.isRequested
        for _ in 0..<150 {
            if Interruption.isRequested, !wasRequested { return false }
            usleep(10_000)
        }
        return true
    }
}
