import ArgumentParser
import Diagnostics
import Host
import Ranks
import Tensors

/// The options that every command which calculates has.
struct CommonOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Threads to calculate with; by default one for each processor, which processes that mpirun started share. Results "
                + "don't depend on it.",
            valueName: "n"))
    var threads: Int?

    @Flag(name: .shortAndLong, help: "Show results, warnings and errors only.")
    var quiet = false

    func validate() throws {
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads must be between 1 and 1024, got \(threads)")
        }
    }

    /// Takes the options into effect; the first thing that a command's `run` does.
    func apply() {
        Console.isQuiet = quiet
        let share = Communicator.current?.processorShare(wanted: threads)
        if let count = threads ?? share?.threads { WorkerPool.shared.threadCount = count }
        for warning in share?.warnings ?? Communicator.warningsOfOne(wanted: threads) { Console.report(warning) }
        WorkerPool.shared.whereThreadsAreShort { threads, reason in
            let words = threads == 1 ? "one thread" : "\(threads) threads"
            Console.report(
                Problem("the system gives no more threads (\(reason)): going on with \(words)", severity: .warning))
        }
    }
}

/// The path that an option gives; after a `=`, and where no shell is, `~` hasn't been replaced yet.
func expandedPath(_ argument: String) -> String { argument.expandingHome }
