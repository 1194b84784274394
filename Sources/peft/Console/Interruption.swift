import Diagnostics
import Glibc
import Synchronization

/// Ctrl-C and SIGTERM, as a flag that a command looks at where it can stop; the second signal ends the process at once.
enum Interruption {
    private static let count = Atomic<Int>(0)
    private static let answer: StaticString =
        "\nstopping: saving after this step; once more Ctrl-C ends at once and saves nothing\n"

    /// Whether the user wants the process to stop.
    static var isRequested: Bool { count.load(ordering: .relaxed) > 0 }

    /// Takes the signals over; before that, and in commands that don't call this, they end the process.
    ///
    /// The handler does nothing but what POSIX allows in one: an atomic addition, `write` and `_exit`.
    static func catchSignals() {
        // What the handler uses is initialized here, not in it.
        _ = (isRequested, answer)
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in
            if Interruption.count.add(1, ordering: .relaxed).newValue > 1 { _exit(ExitStatus.interrupted.rawValue) }
            let (before, answer) = (errno, Interruption.answer)
            _ = write(STDERR_FILENO, answer.utf8Start, answer.utf8CodeUnitCount)
            errno = before
        }
        // Reads and writes go on where they were.
        action.sa_flags = SA_RESTART
        sigemptyset(&action.sa_mask)
        sigaction(SIGINT, &action, nil)
        sigaction(SIGTERM, &action, nil)
        // A parent may have started the process with the signals held back.
        var caught = sigset_t()
        sigemptyset(&caught)
        sigaddset(&caught, SIGINT)
        sigaddset(&caught, SIGTERM)
        sigprocmask(SIG_UNBLOCK, &caught, nil)
    }
}
