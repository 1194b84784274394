import Diagnostics
import FoundationEssentials
import Glibc
import JSONText

/// What a process that printed JSON lines left behind.
struct ChildResult {
    /// The last line.
    var summary: JSONNode
    /// From its start to its first line, in seconds.
    var secondsToFirstLine: Double
    /// The most memory that it held at one time.
    var peakBytes: Int
}

/// Runs a program to its end; its complaints go where ours go.
///
/// - Parameter removing: Names that are taken out of its environment.
func runChild(_ arguments: [String], removing: [String]) throws -> ChildResult {
    var pipe: [Int32] = [0, 0]
    guard Glibc.pipe(&pipe) == 0 else { throw Problem("no pipe: \(String(cString: strerror(errno)))") }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, pipe[1], 1)
    posix_spawn_file_actions_addclose(&actions, pipe[0])
    let environment = ProcessInfo.processInfo.environment.filter { !removing.contains($0.key) }
        .map { "\($0.key)=\($0.value)" }
    var process = pid_t()
    let start = ContinuousClock.now
    let failure = withCStrings(arguments) { argv in
        withCStrings(environment) { envp in
            posix_spawnp(&process, arguments[0], &actions, nil, argv, envp)
        }
    }
    close(pipe[1])
    defer { close(pipe[0]) }
    guard failure == 0 else { throw Problem("\(arguments[0]): \(String(cString: strerror(failure)))") }

    var output: [UInt8] = []
    var firstLine: Double?
    var buffer = [UInt8](repeating: 0, count: 1 << 14)
    while true {
        let count = read(pipe[0], &buffer, buffer.count)
        if count <= 0 { break }
        output += buffer[..<count]
        if firstLine == nil, output.contains(0x0A) { firstLine = start.duration(to: .now) / .seconds(1) }
    }
    var status: Int32 = 0
    var usage = rusage()
    wait4(process, &status, 0, &usage)
    let lines = String(decoding: output, as: UTF8.self).split(separator: "\n")
    guard status == 0, let last = lines.last else {
        throw Problem("\(arguments.joined(separator: " ")) ended with status \(status >> 8)")
    }
    return ChildResult(
        summary: try JSONNode.parse(String(last)), secondsToFirstLine: firstLine ?? .nan,
        peakBytes: usage.ru_maxrss * 1024)
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
