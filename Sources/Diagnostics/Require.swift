import Glibc

/// Ends the process where a condition doesn't hold that only our own code can break.
///
/// Unlike a `precondition` it says what it has to say at every level of optimisation: `-O` drops a precondition's message.
///
/// - Parameter message: Names the operation and the shapes; made only where it is shown.
@inlinable @inline(__always)
public func require(_ condition: Bool, _ message: @autoclosure () -> String) {
    if !condition { defect(message) }
}

/// Ends the process where only a mistake of ours can lead.
public func defect(_ message: @autoclosure () -> String) -> Never { defect(message) }

@inline(never) @usableFromInline
func defect(_ message: () -> String) -> Never {
    endProcess("error: \(message())\n\(Problem.defectNotice)", .internalError)
}

/// Ends the process for want of memory, which can be missing anywhere.
public func endWithoutMemory(_ wanted: @autoclosure () -> String) -> Never {
    endProcess("error: out of memory: \(wanted()) could not be had", .outOfResources)
}

/// From any thread: the others go on while the message is written, and must not meet what `exit` takes down.
private func endProcess(_ message: String, _ status: ExitStatus) -> Never {
    var text = "peft: \(message)\n"
    text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
    _exit(status.rawValue)
}
