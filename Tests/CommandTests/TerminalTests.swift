import Foundation
import Glibc
import TestSupport
import Testing

@Suite("On a terminal")
struct TerminalTests {
    /// Runs the tool with stderr on a pseudo-terminal, and returns what it wrote there.
    private func errors(
        _ arguments: [String], _ environment: [String: String], columns: UInt16? = nil
    ) throws -> String {
        let (main, terminal) = try pseudoTerminal()
        if let columns {
            var size = winsize(ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
            try #require(ioctl(terminal, UInt(TIOCSWINSZ), &size) == 0)
        }
        let process = Process()
        process.executableURL = binary
        process.arguments = arguments
        process.currentDirectoryURL = repositoryRoot
        var variables = ProcessInfo.processInfo.environment
        variables["NO_COLOR"] = nil
        process.environment = variables.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle(fileDescriptor: terminal, closeOnDealloc: false)
        try process.run()
        close(terminal)
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        // Reading fails once nobody has the terminal open.
        while case let count = read(main, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
        close(main)
        process.waitUntilExit()
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(
        "whoever is waited for is told, unless it is to be quiet",
        arguments: [
            ([], "reading prompts from the terminal, a line each; Ctrl-D ends\n"),
            (["--data", "-", "--prompt", "{text}"], "reading records from the terminal, a line each; Ctrl-D ends\n"),
            (["--quiet"], ""),
        ])
    func waiting(arguments: [String], note: String) throws {
        let small = try SmallModel()
        let (main, terminal) = try pseudoTerminal()
        let process = Process()
        process.executableURL = binary
        process.arguments = ["generate", "--base", small.model, "--max-new-tokens", "1"] + arguments
        process.currentDirectoryURL = repositoryRoot
        process.standardInput = FileHandle(fileDescriptor: terminal, closeOnDealloc: false)
        let (output, errors) = (Pipe(), Pipe())
        (process.standardOutput, process.standardError) = (output, errors)
        try process.run()
        // A line, and the end of the input.
        let input = Array("abc\n\u{04}".utf8)
        #expect(write(main, input, input.count) == input.count)
        process.waitUntilExit()
        close(terminal)
        close(main)
        #expect(process.terminationStatus == 0)
        #expect(String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self) == note)
        #expect(!output.fileHandleForReading.readDataToEndOfFile().isEmpty)
    }

    @Test("errors are coloured")
    func colors() throws {
        let text = try errors(["inspect", "no/such/folder"], ["TERM": "xterm"])
        #expect(text == "no/such/folder: \u{1B}[1;31merror:\u{1B}[0m no such folder\r\n")
    }

    @Test(
        "errors have no colours where they aren't wanted or can't be shown",
        arguments: [["TERM": "xterm", "NO_COLOR": "1"], ["TERM": "dumb"]])
    func noColors(environment: [String: String]) throws {
        let text = try errors(["inspect", "no/such/folder"], environment)
        #expect(text == "no/such/folder: error: no such folder\r\n")
    }

    @Test("training shows one line that is redrawn, and lines above it for losses and what happens")
    func progress() throws {
        let run = try TinyRun()
        let text = try errors(run.arguments, ["TERM": "xterm"])
        #expect(text.contains("\r[=====     "))
        #expect(text.contains("] 6/6  loss "))
        #expect(text.contains("\r\u{1B}[Kstep 6  evaluation loss "))
        // The bar has rate and time; what was logged stays above it.
        #expect(text.contains("\r\u{1B}[Kstep 2/6  epoch 0.33  loss "))
        #expect(text.contains("\r\u{1B}[Kstep 4/6  epoch 0.67  loss "))
        #expect(try text.contains(Regex(#"rate 8\.33e-3\r\n"#).matchingSemantics(.unicodeScalar)))
        #expect(text.contains("] evaluating after step 6, 24 of 24 examples"))
        #expect(text.contains("\r\nthe result is in \(run.folder.path)/run\r\nnext: peft generate --adapter "))
    }

    @Test("training ends with the course of the loss in a few rows, none of which is wider than the terminal")
    func curve() throws {
        let run = try TinyRun()
        let text = try errors(run.arguments, ["TERM": "xterm"], columns: 50)
        let end = try #require(text.components(separatedBy: "\u{1B}[Kloss ").last).components(separatedBy: "\r\n")
        let title = try Regex(#"\d\.\d{4} → \d\.\d{4}, lowest \d\.\d{4} after step [246]"#)
        #expect(try title.wholeMatch(in: end[0]) != nil, "\(text)")
        #expect(end[1...6].allSatisfy { $0.contains(" ┤") || $0.contains(" │") }, "\(text)")
        #expect(end[7].hasSuffix("  step") && end[8].hasPrefix("finished 6 steps: "), "\(text)")
        #expect(end[0...7].allSatisfy { $0.count < 50 })
        #expect(end[1...6].joined().unicodeScalars.contains { (0x2801...0x28FF).contains($0.value) })
    }

    @Test(
        "training draws no curve of few losses, where it is quiet or gives JSON, or where a line can't be redrawn",
        arguments: [
            (["--set", "training.logging_steps=4"], "xterm", UInt16(80)), (["--quiet"], "xterm", 80),
            (["--json"], "xterm", 80), ([], "dumb", 80), ([], "xterm", 20),
        ])
    func noCurve(arguments: [String], terminal: String, columns: UInt16) throws {
        let run = try TinyRun()
        let text = try errors(run.arguments + arguments, ["TERM": terminal], columns: columns)
        #expect(!text.contains("┤") && !text.contains(" → "), "\(text)")
    }

    @Test("training writes plain lines where a line can't be redrawn")
    func plain() throws {
        let run = try TinyRun()
        let text = try errors(run.arguments, ["TERM": "dumb"])
        #expect(!text.contains("\u{1B}"))
        #expect(text.contains("\nstep 2/6  epoch 0.33  loss "))
        #expect(try text.contains(Regex(#"\nstep 2/6 .* tokens/s  \d+ s left\r\n"#).matchingSemantics(.unicodeScalar)))
        #expect(try text.contains(Regex(#"\nstep 6/6 .* tokens/s\r\n"#).matchingSemantics(.unicodeScalar)))
    }

    @Test("no line is wider than the terminal, so that it can be drawn anew")
    func narrow() throws {
        let run = try TinyRun()
        let text = try errors(run.arguments, ["TERM": "xterm"], columns: 24)
        let drawn = text.components(separatedBy: "\u{1B}[K").compactMap { $0.components(separatedBy: "\r").last }
            .filter { $0.hasPrefix(" ") || $0.hasPrefix("[") }
        #expect(drawn.count > 2 && drawn.allSatisfy { $0.count < 24 }, "\(drawn)")
    }

    @Test("training that logs seldom says now and then how far it is, where a line can't be redrawn")
    func seldom() throws {
        let run = try TinyRun()
        let tool = try RunningTool(
            run.arguments + [
                "--set", "training.max_steps=10000000", "--set", "training.logging_steps=10000000", "--set",
                "training.eval_steps=10000000",
            ])
        let pattern = #"\nstep [\d,]+/10,000,000  loss \d+\.\d{4}  [\d,]+ tokens/s  [\d:]+ left\n"#
        let line = try Regex(pattern)
        for _ in 0..<600 where try tool.isRunning && !tool.errorsSoFar().contains(line) {
            Thread.sleep(forTimeInterval: 0.05)
        }
        tool.send(SIGTERM)
        let outcome = try tool.outcome()
        #expect(outcome.errors.contains(line), "\(outcome.errors)")
    }
}
