import Diagnostics
import FoundationEssentials
import Glibc
import JSONText

/// What a process that was run to its end left behind.
struct ChildRun {
    struct Line {
        var text: String
        /// When it had been read, in seconds from the process's start.
        var seconds: Double
    }

    /// What it wrote to the stream that was read.
    var lines: [Line]
    /// From its start to its end.
    var seconds: Double
    /// The most memory that it held at one time, mapped files included.
    var peakBytes: Int
    /// What share of the processors' time went to others meanwhile, those beside this machine's guest included.
    var otherWork: Double

    /// The last line as JSON.
    func summary() throws -> JSONNode { try JSONNode.parse(lines.last?.text ?? "") }
}

/// Runs a program to its end, reading one of its streams; the other goes where ours goes.
///
/// - Parameters:
///   - removing: Names that are taken out of its environment.
///   - stream: 1 for its standard output, 2 for its standard error.
///   - isSilent: Whether the other stream goes nowhere.
/// - Throws: A `Problem` where it can't be started or ends with a status other than 0.
func runChild(
    _ arguments: [String], removing: [String] = [], stream: Int32 = 1, isSilent: Bool = false
) throws -> ChildRun {
    var pipe: [Int32] = [0, 0]
    guard Glibc.pipe(&pipe) == 0 else { throw Problem("no pipe: \(String(cString: strerror(errno)))") }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, pipe[1], stream)
    posix_spawn_file_actions_addclose(&actions, pipe[0])
    if isSilent { posix_spawn_file_actions_addopen(&actions, 3 - stream, "/dev/null", O_WRONLY, 0) }
    let environment = ProcessInfo.processInfo.environment.filter { !removing.contains($0.key) }
        .map { "\($0.key)=\($0.value)" }
    var process = pid_t()
    let before = ProcessorTime.now()
    let start = ContinuousClock.now
    let failure = withCStrings(arguments) { argv in
        withCStrings(environment) { envp in
            posix_spawnp(&process, arguments[0], &actions, nil, argv, envp)
        }
    }
    close(pipe[1])
    defer { close(pipe[0]) }
    guard failure == 0 else { throw Problem("\(arguments[0]): \(String(cString: strerror(failure)))") }

    var lines: [ChildRun.Line] = []
    var rest: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 14)
    while true {
        let count = read(pipe[0], &buffer, buffer.count)
        if count <= 0 { break }
        rest += buffer[..<count]
        let now = start.duration(to: .now) / .seconds(1)
        while let end = rest.firstIndex(of: 0x0A) {
            lines.append(.init(text: String(decoding: rest[..<end], as: UTF8.self), seconds: now))
            rest.removeSubrange(...end)
        }
    }
    var status: Int32 = 0
    var usage = rusage()
    wait4(process, &status, 0, &usage)
    let seconds = start.duration(to: .now) / .seconds(1)
    guard status == 0 else {
        throw Problem("\(arguments.joined(separator: " ")) ended with status \(status >> 8), signal \(status & 127)")
    }
    let own = usage.ru_utime.seconds + usage.ru_stime.seconds
    return ChildRun(
        lines: lines, seconds: seconds, peakBytes: usage.ru_maxrss * 1024,
        otherWork: ProcessorTime.now().share(ofOthersSince: before, own: own))
}

extension timeval {
    fileprivate var seconds: Double { Double(tv_sec) + Double(tv_usec) / 1e6 }
}

private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers = strings.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("withCStrings: no memory") }
        return body(base)
    }
}
