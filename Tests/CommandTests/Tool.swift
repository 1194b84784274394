import Foundation
import Glibc
import TestSupport
import Testing

/// What a run of the built tool left behind.
struct Outcome: Equatable {
    /// The exit status, or the negated number of the signal that ended it.
    var status: Int32
    var output: String
    var errors: String
}

/// The built binary beside the running tests; `PEFT_BINARY` names another one.
let binary: URL = {
    if let chosen = ProcessInfo.processInfo.environment["PEFT_BINARY"] { return URL(filePath: chosen) }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    let tests = URL(filePath: String(decoding: buffer.prefix(max(0, count)), as: UTF8.self))
    return tests.deletingLastPathComponent().appending(path: "peft")
}()

/// Runs the tool in the repository's root, with these variables beside those of the tests.
func peft(_ arguments: String..., input: String = "", environment: [String: String] = [:]) throws -> Outcome {
    try RunningTool(arguments, input: input, environment: environment).outcome()
}

/// The tool, started in the repository's root.
final class RunningTool {
    private let process = Process()
    private let streams: TemporaryFolder

    /// - Parameter launcher: What starts the tool, and with which arguments in front of its own; nothing for itself.
    init(
        _ arguments: [String], launcher: [String] = [], input: String = "", environment: [String: String] = [:]
    ) throws {
        streams = try TemporaryFolder()
        process.executableURL = launcher.first.map { URL(filePath: $0) } ?? binary
        process.arguments =
            (launcher.isEmpty ? [] : launcher.dropFirst() + [binary.path(percentEncoded: false)]) + arguments
        process.currentDirectoryURL = repositoryRoot
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = try FileHandle(forReadingFrom: streams.write(input, to: "stdin"))
        process.standardOutput = try FileHandle(forWritingTo: streams.write("", to: "stdout"))
        process.standardError = try FileHandle(forWritingTo: streams.write("", to: "stderr"))
        // The threads of tests hold signals back, and so would a launcher that they start.
        var (none, before) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        if !launcher.isEmpty { pthread_sigmask(SIG_SETMASK, &none, &before) }
        defer { if !launcher.isEmpty { pthread_sigmask(SIG_SETMASK, &before, nil) } }
        try process.run()
    }

    /// Waits for the end.
    func outcome() throws -> Outcome {
        process.waitUntilExit()
        let status = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        return Outcome(status: status, output: try streams.text("stdout"), errors: try errorsSoFar())
    }

    var identifier: Int32 { process.processIdentifier }

    var isRunning: Bool { process.isRunning }

    /// What it has written to stderr until now.
    func errorsSoFar() throws -> String { try streams.text("stderr") }

    var hasEnded: Bool { !process.isRunning }

    func send(_ signal: Int32) { kill(process.processIdentifier, signal) }
}

/// A folder that is deleted with the last reference to it.
final class TemporaryFolder {
    let url: URL
    var path: String { url.path(percentEncoded: false) }

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "peft-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    @discardableResult
    func write(_ text: String, to name: String) throws -> URL {
        let file = url.appending(path: name)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
        return file
    }

    func text(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: url.appending(path: name)), as: UTF8.self)
    }
}
