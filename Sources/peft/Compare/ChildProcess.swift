import Diagnostics
import Glibc
import Host
import Synchronization

/// Another run of this program, to its end: what one model or method takes is measured apart from all others.
struct ChildProcess {
    /// The exit status; 128 and the signal where one ended it.
    let status: Int32
    let output: String
    /// What it said to people, by lines.
    let messages: [String]

    var isInterrupted: Bool { status == ExitStatus.interrupted.rawValue }

    /// Why it failed, in the program's own words.
    var reason: String {
        let errors = messages.filter { $0.contains("error:") }
        if errors.isEmpty { return messages.last { !$0.isEmpty } ?? "ended with status \(status)" }
        let first = errors[0].trimmingCharacters()
        return errors.count > 1 ? "\(first) (and \(errors.count - 1) more)" : first
    }

    /// Runs the program with `arguments`.
    ///
    /// It is in a process group of its own, so that Ctrl-C reaches this process alone, which asks it to stop once.
    ///
    /// - Parameter onMessage: Called with each line for people.
    /// - Throws: `Problem` where it can't be started.
    static func run(_ arguments: [String], onMessage: (String) -> Void) throws -> ChildProcess {
        let (output, messages) = (try Pipe(), try Pipe())
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output.writing, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, messages.writing, STDERR_FILENO)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        var process = pid_t()
        let failure = withCStrings(["peft"] + arguments) { argv in
            posix_spawn(&process, Launch.executable, &actions, &attributes, argv, environ)
        }
        output.closeWriting()
        messages.closeWriting()
        guard failure == 0 else {
            throw Problem(
                "peft can't be started again: \(String(cString: strerror(failure)))", exitStatus: .outOfResources)
        }
        Interruption.child.store(process, ordering: .relaxed)
        defer { Interruption.child.store(0, ordering: .relaxed) }
        var lines: [String] = []
        var text: [UInt8] = []
        var rest: [UInt8] = []
        var isAsked = false
        while output.isOpen || messages.isOpen {
            if Interruption.isRequested, !isAsked {
                isAsked = true
                kill(process, SIGINT)
            }
            var waiting = [output.pollDescriptor, messages.pollDescriptor]
            if poll(&waiting, 2, 200) <= 0 { continue }
            if waiting[0].revents != 0 { text += output.read() }
            guard waiting[1].revents != 0 else { continue }
            rest += messages.read()
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: rest[..<end], as: UTF8.self)
                rest.removeSubrange(...end)
                lines.append(line)
                onMessage(line)
            }
        }
        if !rest.isEmpty { lines.append(String(decoding: rest, as: UTF8.self)) }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        return ChildProcess(
            status: signal == 0 ? (status >> 8) & 0xFF : 128 + signal, output: String(decoding: text, as: UTF8.self),
            messages: lines)
    }
}

/// A pipe whose reading end stays here.
private final class Pipe {
    private var reading: Int32
    private(set) var writing: Int32

    init() throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw Problem("no pipe: \(String(cString: strerror(errno)))", exitStatus: .outOfResources)
        }
        // The process that is started shall not hold them open.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (reading, writing) = (ends[0], ends[1])
    }

    deinit {
        closeWriting()
        if reading >= 0 { close(reading) }
    }

    var isOpen: Bool { reading >= 0 }
    var pollDescriptor: pollfd { pollfd(fd: reading, events: Int16(POLLIN), revents: 0) }

    func closeWriting() {
        if writing >= 0 { close(writing) }
        writing = -1
    }

    /// What is there; closed at the end of it.
    func read() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        let count = Glibc.read(reading, &buffer, buffer.count)
        if count < 0, errno == EINTR || errno == EAGAIN { return [] }
        if count <= 0 {
            close(reading)
            reading = -1
            return []
        }
        return Array(buffer[..<count])
    }
}

private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers = strings.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { defect("withCStrings: no memory") }
        return body(base)
    }
}

extension String {
    fileprivate func trimmingCharacters() -> String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
