import Foundation
import JSONText
import Testing

@Suite("peft verify") struct VerifyCommandTests {
    private let run: TinyRun
    private var folder: TemporaryFolder { run.folder }
    private var place: String { folder.path + "/run" }

    init() throws {
        run = try TinyRun()
        let outcome = try RunningTool(run.arguments + ["--set", "training.save_steps=2", "--quiet"]).outcome()
        #expect(outcome.status == 0, "\(outcome.errors)")
    }

    private func verify(_ more: String...) throws -> Outcome {
        try RunningTool(["verify", place, "--threads", "2"] + more).outcome()
    }

    @Test("finds the same bits in a run that was left alone, whatever the steps, and changes nothing there")
    func same() throws {
        let names = try FileManager.default.subpathsOfDirectory(atPath: place).sorted()
        let plain = try verify()
        #expect(plain.status == 0, "\(plain.errors)")
        #expect(plain.output == "\(place): from step 4 to step 6 the same bits: 12 tensors and 1 logged losses\n")
        #expect(
            try verify("--steps", "100").output
                == "\(place): from the beginning to step 6 the same bits: 12 tensors and 3 logged losses\n")
        let json = try JSONNode.parse(verify("--steps", "4", "--json").output)
        #expect(try json.integer("first_step") == 2 && json.integer("last_step") == 6 && json.boolean("same"))
        #expect(try FileManager.default.subpathsOfDirectory(atPath: place).sorted() == names)
    }

    @Test("says what differs, and what is known to be another by now")
    func differences() throws {
        let records = try folder.text("data.jsonl")
        try folder.write(records.replacing("\"a\": \"0", with: "\"a\": \"7"), to: "data.jsonl")
        let outcome = try verify()
        #expect(outcome.status == 65)
        #expect(
            outcome.output.hasPrefix(
                """
                \(place): from step 4 to step 6 not the same bits, of 12 tensors and 1 logged losses
                  probably because the training data isn't what it was when the run began: its records, or their order, are \
                others
                  step 6: loss was
                """))
        #expect(outcome.output.contains("lora_B.weight: "))
        try folder.write(records, to: "data.jsonl")
        let config = try folder.text("run/training_config.yaml")
        try folder.write(
            config.replacing("learning_rate: 0.01", with: "learning_rate: 0.02"), to: "run/training_config.yaml")
        let changed = try verify()
        #expect(changed.status == 65)
        #expect(changed.output.contains("\n  probably because training.learning_rate was 0.01 and is 0.02 now\n"))
    }

    @Test("says what is missing")
    func problems() throws {
        let none = try RunningTool(["verify", folder.path]).outcome()
        #expect(none.status == 66)
        #expect(none.errors == "\(folder.path): error: is no run's output folder: it has no training_config.yaml\n")
        let usage = try verify("--steps", "0")
        #expect(usage.status == 64 && usage.errors.contains("--steps must be at least 1, got 0"))
        let short = try verify("--steps", "1")
        #expect(short.status == 64)
        #expect(
            short.errors == """
                \(place): error: tells nothing of the step behind step 4: the first of which it tells is step 6; give --steps \
                2 or more

                """)
        try FileManager.default.removeItem(atPath: place + "/checkpoints")
        try folder.write("", to: "run/metrics.jsonl")
        let missing = try verify()
        #expect(missing.status == 65)
        #expect(
            missing.errors == """
                \(place): error: holds neither a checkpoint nor, in metrics.jsonl, the loss of a step, with which repeated ones \
                could be compared: a run keeps checkpoints with training.save_steps

                """)
    }

    private static let unverified =
        "\n  not verified: the optimizer's state, and whether the data are what they were: only checkpoints tell, and the run "
        + "has none"

    @Test("repeats a run without checkpoints from its beginning, and says what can't be compared")
    func withoutCheckpoints() throws {
        try FileManager.default.removeItem(atPath: place + "/checkpoints")
        let whole = try verify()
        #expect(whole.status == 0, "\(whole.errors)")
        #expect(
            whole.output
                == "\(place): from the beginning to step 6 the same bits: 4 tensors and 3 logged losses\(Self.unverified)\n"
        )
        let part = try verify("--steps", "5")
        #expect(
            part.output
                == "\(place): from the beginning to step 5 the same bits: 0 tensors and 2 logged losses\(Self.unverified)"
                + "\n  not verified: the result: it is that of step 6\n")
        let json = try JSONNode.parse(verify("--steps", "5", "--json").output)
        #expect(try json.boolean("same") && json.array("unverified").count == 2)
        let records = try folder.text("data.jsonl")
        try folder.write(records.replacing("\"a\": \"0", with: "\"a\": \"7"), to: "data.jsonl")
        let other = try verify()
        #expect(other.status == 65)
        #expect(
            other.output.hasPrefix(
                "\(place): from the beginning to step 6 not the same bits, of 4 tensors and 3 logged losses")
        )
        #expect(other.output.contains("\n  step 2: loss was ") && other.output.contains("lora_B.weight: "))
        #expect(other.output.hasSuffix(Self.unverified + "\n"))
    }
}
