import Diagnostics
import Glibc
import Synchronization

/// Ctrl-C, SIGTERM and SIGHUP, as a flag that a command looks at where it can stop; the second signal ends the process at
/// once, and a child with it.
enum Interruption {
    private static let count = Atomic<Int>(0)
    /// The process that works for this one; 0 for none.
    static let child = Atomic<pid_t>(0)
    private static let answers = Atomic<Bool>(true)
    private static let isShared = Atomic<Bool>(false)
    /// A launcher ends processes by the same signals where one of them is gone.
    private static let sharedAnswer: StaticString =
        "\nstopping: saving after this step, where all processes are still there\n"
    private static let answer: StaticString =
        "\nstopping: saving after this step; once more Ctrl-C ends at once and saves nothing\n"

    /// SIG_IGN, which Swift can't compare.
    private static let ignored = 1

    /// Whether the user wants the process to stop.
    static var isRequested: Bool { count.load(ordering: .relaxed) > 0 }

    /// Takes the signals over; before that, and in commands that don't call this, they end the process.
    ///
    /// The handler does nothing but what POSIX allows in one: atomic operations, `write`, `kill` and `_exit`.
    ///
    /// - Parameter isShared: Whether other processes work along; then the first rank answers for all, and SIGUSR1, which
    ///   launchers of MPI hand on, is one of the signals.
    static func catchSignals(isShared: Bool = false, isAnswering: Bool = true) {
        Self.answers.store(isAnswering, ordering: .relaxed)
        Self.isShared.store(isShared, ordering: .relaxed)
        // What the handler uses is initialized here, not in it.
        _ = (
            isRequested, child.load(ordering: .relaxed), Self.answers.load(ordering: .relaxed),
            Self.isShared.load(ordering: .relaxed), sharedAnswer,
            answer
        )
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in
            if Interruption.count.add(1, ordering: .relaxed).newValue > 1 {
                let child = Interruption.child.load(ordering: .relaxed)
                if child > 0 { kill(child, SIGKILL) }
                _exit(ExitStatus.interrupted.rawValue)
            }
            guard Interruption.answers.load(ordering: .relaxed) else { return }
            let before = errno
            let answer =
                Interruption.isShared.load(ordering: .relaxed) ? Interruption.sharedAnswer : Interruption.answer
            _ = write(STDERR_FILENO, answer.utf8Start, answer.utf8CodeUnitCount)
            errno = before
        }
        // Reads and writes go on where they were.
        action.sa_flags = SA_RESTART
        sigemptyset(&action.sa_mask)
        // A parent may have started the process with the signals held back.
        var caught = sigset_t()
        sigemptyset(&caught)
        for signal in [SIGINT, SIGTERM, SIGHUP] + (isShared ? [SIGUSR1] : []) {
            var before = sigaction()
            sigaction(signal, nil, &before)
            // Under `nohup` the end of the terminal is none of the process.
            if signal == SIGHUP, unsafeBitCast(before.__sigaction_handler.sa_handler, to: Int.self) == Self.ignored {
                continue
            }
            sigaction(signal, &action, nil)
            sigaddset(&caught, signal)
        }
        sigprocmask(SIG_UNBLOCK, &caught, nil)
    }
}
