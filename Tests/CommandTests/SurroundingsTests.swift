import Foundation
import TestSupport
import Testing

/// What the system around the tool lacks: each case runs the built binary from a shell that takes something away.
@Suite("Surroundings")
struct SurroundingsTests {
    /// Runs `script`, in which `$PEFT` is the tool and `$IN` a folder; at most two minutes.
    private static func shell(_ script: String, in folder: TemporaryFolder) throws -> Outcome {
        let name = UUID().uuidString
        let (output, errors) = try (folder.write("", to: name + ".out"), folder.write("", to: name + ".err"))
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/timeout")
        process.arguments = ["-k", "5", "120", "/bin/bash", "-c", script]
        process.currentDirectoryURL = repositoryRoot
        process.environment = ProcessInfo.processInfo.environment.merging(
            ["PEFT": binary.path(percentEncoded: false), "IN": folder.path]
        ) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        process.waitUntilExit()
        let status = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        return Outcome(
            status: status, output: try folder.text(name + ".out"), errors: try folder.text(name + ".err"))
    }

    /// Whether the shell can do what a test needs, such as mount something.
    private static func can(_ script: String) -> Bool {
        (try? shell(script, in: TemporaryFolder()).status) == 0
    }

    private static let hidesProc = "unshare -m sh -c 'mount -t tmpfs none /proc && exec \"$@\"' -"
    /// Another user, whom limits of processes concern.
    private static let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups"

    @Test("without /proc the arguments are there", .enabled(if: can("\(hidesProc) true")))
    func withoutProc() throws {
        let small = try SmallModel()
        let call = "\"$PEFT\" generate --base \"$IN/model\" --prompt a --max-new-tokens 4 --json"
        let usual = try Self.shell(call, in: small.folder)
        let hidden = try Self.shell("\(Self.hidesProc) \(call)", in: small.folder)
        #expect(hidden.status == 0)
        #expect(hidden.output == usual.output)
        #expect(hidden.output.hasPrefix("{\"prompt\": \"a\""))
        let unknown = try Self.shell("\(Self.hidesProc) \"$PEFT\" trian", in: small.folder)
        #expect(unknown.status == 64)
        #expect(unknown.errors == "error: unknown command 'trian'; did you mean 'train'?\n")
    }

    @Test("with its streams closed a run's files get nothing but what belongs into them")
    func closedStreams() throws {
        let run = try TinyRun()
        let outcome = try Self.shell("exec \"$PEFT\" train --config \"$IN/run.yaml\" <&- >&- 2>&-", in: run.folder)
        #expect(outcome.status == 0)
        let lines = try run.folder.text("run/metrics.jsonl").split(separator: "\n")
        #expect(!lines.isEmpty && lines.allSatisfy { $0.hasPrefix("{\"step\":") })
    }

    @Test(
        "a result that can't be written is an error",
        arguments: [
            "inspect \"$IN/model\"", "--help", "--version", "train --help", "inspect \"$IN/model\" --json",
            "generate --base \"$IN/model\" --prompt a --max-new-tokens 1",
        ])
    func unwritableResult(call: String) throws {
        let small = try SmallModel()
        let closed = try Self.shell("\"$PEFT\" \(call) >&-", in: small.folder)
        #expect(closed.status == 74)
        #expect(closed.errors == "error: stdout can't be written: Bad file descriptor\n")
        let full = try Self.shell("\"$PEFT\" \(call) >/dev/full", in: small.folder)
        #expect(full.status == 74)
        #expect(full.errors == "error: stdout can't be written: No space left on device\n")
    }

    @Test("prompts that can't be read are an error")
    func unreadableInput() throws {
        let small = try SmallModel()
        let outcome = try Self.shell("\"$PEFT\" generate --base \"$IN/model\" <&-", in: small.folder)
        #expect(outcome.status == 74)
        #expect(outcome.errors == "stdin: error: can't be read: Bad file descriptor\n")
    }

    @Test("a limit of files' sizes is a full disk: an error, and nothing half-written")
    func fileSizeLimit() throws {
        let small = try SmallModel()
        let merge = try Self.shell(
            "ulimit -f 1; \"$PEFT\" merge --adapter \"$IN/a\" --output \"$IN/merged\" -q", in: small.folder)
        #expect(merge.status == 74)
        #expect(merge.errors.hasSuffix(": error: writing failed: File too large\n"))
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: small.folder.path).contains { $0.hasPrefix("merged") }
                == false)
        let run = try TinyRun()
        let training = try Self.shell(
            "ulimit -f 1; \"$PEFT\" train --config \"$IN/run.yaml\" -q", in: run.folder)
        #expect(training.status == 74)
        #expect(training.errors.hasSuffix(": error: writing failed: File too large\n"))
    }

    @Test("few file handles are no crash", arguments: 4...12)
    func fileHandles(count: Int) throws {
        let run = try TinyRun()
        let outcome = try Self.shell(
            "ulimit -n \(count); exec \"$PEFT\" train --config \"$IN/run.yaml\" -q", in: run.folder)
        if outcome.status != 0 {
            #expect([66, 71, 73, 74].contains(outcome.status))
            #expect(outcome.errors.contains("error: "))
        }
    }

    @Test("little memory ends a run with a message, and soon", arguments: [150_000, 250_000, 400_000])
    func addressSpace(kilobytes: Int) throws {
        let run = try TinyRun()
        let outcome = try Self.shell(
            "ulimit -v \(kilobytes); exec \"$PEFT\" train --config \"$IN/run.yaml\" --threads 4 -q", in: run.folder)
        if outcome.status != 0 {
            #expect(outcome.status == 71)
            #expect(outcome.errors.contains("error: out of memory: "))
        }
    }

    @Test(
        "where the system gives no threads a run goes on with those there are",
        .enabled(if: can("\(nobody) \"$PEFT\" --version")))
    func threads() throws {
        let run = try TinyRun()
        let outcome = try Self.shell(
            "chmod -R a+rwX \"$IN\"; ulimit -u 1; exec \(Self.nobody) \"$PEFT\" train --config \"$IN/run.yaml\" --threads 4 -q",
            in: run.folder)
        #expect(outcome.status == 0)
        #expect(
            outcome.errors
                == "warning: the system gives no more threads (Resource temporarily unavailable): going on with one thread\n"
        )
        let one = try TinyRun()
        _ = try Self.shell("\"$PEFT\" train --config \"$IN/run.yaml\" --threads 1 -q", in: one.folder)
        #expect(
            try Data(contentsOf: run.folder.url.appending(path: "run/adapter_model.safetensors"))
                == Data(contentsOf: one.folder.url.appending(path: "run/adapter_model.safetensors")))
    }

    @Test("~ is the home folder in a configuration, in an option, and behind a =")
    func home() throws {
        let run = try TinyRun()
        let text = try run.folder.text("run.yaml").replacing(run.folder.path + "/", with: "~/")
        try run.folder.write(text, to: "home.yaml")
        let outcome = try Self.shell(
            "export HOME=\"$IN\"; \"$PEFT\" train --config='~/home.yaml' --set training.output_dir='~/other' -q",
            in: run.folder)
        #expect(outcome.errors == "")
        #expect(outcome.status == 0)
        #expect(FileManager.default.fileExists(atPath: run.folder.path + "/other/adapter_config.json"))
        #expect(try run.folder.text("other/training_config.yaml").contains("path: \(run.folder.path)/model\n"))
        let small = try SmallModel()
        try small.folder.write("{\"t\": \"some text\"}\n", to: "d.jsonl")
        let evaluation = try Self.shell(
            "export HOME=\"$IN\"; \"$PEFT\" eval --adapter '~/a' --base='~/model' --data='~/d.jsonl' --text '{t}' --json",
            in: small.folder)
        #expect(evaluation.errors == "")
        #expect(evaluation.status == 0)
    }
}
