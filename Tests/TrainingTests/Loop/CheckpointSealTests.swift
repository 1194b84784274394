import Checkpoints
import Diagnostics
import Foundation
import JSONText
import TestSupport
import Testing
import Training

@Suite("A checkpoint that isn't what was written") struct CheckpointSealTests {
    private let training: TinyTraining
    private var scratch: Scratch { training.scratch }
    private let changes = ["training.save_steps=2"]

    /// Checkpoints of the steps 2, 4 and 6.
    init() throws {
        training = try TinyTraining()
        try training.run(changes, stoppingAfter: 6)
    }

    private func path(_ step: Int, _ name: String = "") -> String {
        scratch("run/checkpoints/step-\(step)" + (name.isEmpty ? "" : "/\(name)"))
    }

    private func advice(_ whole: Int?) -> String {
        whole.map {
            ". The newest checkpoint that is whole is '\(path($0))': to go on from there remove the broken one "
                + "(rm -r '\(path(6))') and give --resume again"
        } ?? ". No other checkpoint is whole: give --overwrite to begin anew"
    }

    private func flipBit(_ step: Int, _ name: String, at share: Double) throws {
        var bytes = try training.bytes("run/checkpoints/step-\(step)/\(name)")
        bytes[Int(Double(bytes.count - 1) * share)] ^= 4
        try bytes.write(to: URL(filePath: path(step, name)))
    }

    @Test(
        "is refused with the newest that is whole, wherever a bit flipped",
        arguments: [
            "adapter_model.safetensors", "adapter_config.json", "training_state.safetensors", "training_state.json",
            "training_config.yaml",
        ])
    func bits(name: String) throws {
        for share in [0.3, 0.7, 0.98] {
            let whole = try training.bytes("run/checkpoints/step-6/\(name)")
            try flipBit(6, name, at: share)
            let message = try #require(training.failure(changes, .resume))
            #expect(message.hasPrefix(path(6, name) + ":") && message.hasSuffix(advice(4)), "\(message)")
            try whole.write(to: URL(filePath: path(6, name)))
        }
        try flipBit(6, name, at: 0.5)
        try flipBit(4, "adapter_model.safetensors", at: 0.9)
        #expect(try #require(training.failure(changes, .resume)).hasSuffix(advice(2)))
        try FileManager.default.removeItem(atPath: path(2, "adapter_config.json"))
        #expect(try #require(training.failure(changes, .resume)).hasSuffix(advice(nil)))
        try FileManager.default.removeItem(atPath: scratch("run/checkpoints"))
    }

    @Test("is refused where a file is another checkpoint's, or missing; its own follows the advice to the same bits")
    func mixed() throws {
        let name = "training_state.safetensors"
        try training.bytes("run/checkpoints/step-4/\(name)").write(to: URL(filePath: path(6, name)))
        let broken = "isn't what the run wrote (its checksum is another): the checkpoint is broken"
        #expect(training.failure(changes, .resume) == "\(path(6, name)): error: \(broken)" + advice(4))
        try FileManager.default.removeItem(atPath: path(6, name))
        #expect(
            training.failure(changes, .resume) == "\(path(6, name)): error: is missing: the checkpoint is broken"
                + advice(4))
        try FileManager.default.removeItem(atPath: path(6))
        try training.run(changes, .resume)
        try training.run(changes, into: "whole")
        #expect(
            try training.bytes("run/adapter_model.safetensors") == training.bytes("whole/adapter_model.safetensors"))
    }

    @Test(
        "has possible counters, also where no checksum is there to tell",
        arguments: [
            ("step", "-1", "1:1: error: step: can't be -1"),
            ("step", "1000000000", "is 1000000000, but the checkpoint"),
            ("step", "0", "is 0, but the checkpoint is called step-6"), ("tokens", "-5", "can't be -5"),
            ("tokens", "9223372036854775807", "can't be 9223372036854775807"), ("pending_targets", "-1", "can't be -1"),
            ("elapsed_seconds", "-1", "can't be -1"), ("elapsed_seconds", "1e300", "can't be 1e+300"),
            ("pending_loss_sum", "1e300", "can't be 1e+300"),
            ("pending_loss_sum", "1e999", "the number 1e999 is out of range"),
        ])
    func counters(key: String, value: String, expected: String) throws {
        try Self.rewrite(path(6, "training_state.json")) { $0 == key ? value : nil }
        let message = try #require(training.failure(changes, .resume))
        #expect(message.contains(expected.replacing("1:1: error: ", with: "")), "\(message)")
        #expect(message.hasSuffix(advice(4)), "\(message)")
    }

    @Test("is no other run's, and none of more steps than the run has") func steps() throws {
        try FileManager.default.moveItem(atPath: path(6), toPath: path(60))
        #expect(
            try #require(training.failure(changes, .resume)).contains(
                "is 6, but the checkpoint is called step-60"))
    }

    /// Puts other numbers into a state, as it was before there were checksums.
    static func rewrite(_ path: String, _ change: (String) -> String?) throws {
        let members = try JSONNode.load(path: path).asObject().filter { $0.key != "checksum" && $0.key != "files" }
        let lines = members.map { "\"\($0.key)\": \(change($0.key) ?? $0.value.plain.text(.compact))" }
        try Data("{\(lines.joined(separator: ", "))}".utf8).write(to: URL(filePath: path))
    }
}

@Suite("Any mutated checkpoint") struct CheckpointFuzzTests {
    /// The environment variable FUZZ_CASES asks for more than the few that every run of the tests reads.
    private static let cases = ProcessInfo.processInfo.environment["FUZZ_CASES"].flatMap(Int.init) ?? 240

    @Test("is gone on from, or is a problem; never a crash", arguments: ["lora", "adalora", "p_tuning"])
    func mutated(method: String) throws {
        let settings = [
            "lora": ["peft.lora_dropout=0.1"],
            "adalora": [
                "peft.method=adalora", "peft.init_r=4", "peft.target_r=2", "peft.tinit=1", "peft.tfinal=3",
            ], "p_tuning": ["peft.method=p_tuning", "peft.num_virtual_tokens=3"],
        ]
        let training = try TinyTraining()
        let changes = try #require(settings[method]) + ["training.max_steps=6"]
        try training.run(changes, stoppingAfter: 3)
        let folder = training.scratch("run/checkpoints/step-3")
        let names = [
            "training_state.json", "training_state.safetensors", "adapter_model.safetensors", "adapter_config.json",
        ]
        let whole = try names.map { try training.bytes("run/checkpoints/step-3/\($0)") }
        var generator = SplitMix(state: 2026)
        var (taken, messages) = (0, Set<String>())
        for index in 0..<Self.cases / 3 {
            for (name, bytes) in zip(names, whole) { try bytes.write(to: URL(filePath: "\(folder)/\(name)")) }
            for name in ["adapter_model.safetensors", "adapter_config.json", "README.md"] {
                try? FileManager.default.removeItem(atPath: training.scratch("run/\(name)"))
            }
            // Without checksums, what is wrong gets further.
            if index % 4 != 0 {
                try CheckpointSealTests.rewrite("\(folder)/training_state.json") { key in
                    index % 3 == 0 && Int.random(in: 0..<4, using: &generator) == 0
                        ? ["-1", "0", "1e400", "3.5", "null", "9223372036854775807", "\"x\"", "[]", "4"]
                            .randomElement(using: &generator) : nil
                }
            }
            if index % 3 != 0 {
                let name = names[Int.random(in: 0..<names.count, using: &generator)]
                var bytes = try Data(contentsOf: URL(filePath: "\(folder)/\(name)"))
                for _ in 0..<Int.random(in: 1...3, using: &generator) {
                    // Mostly in the header, which says the most.
                    let place = Int.random(in: 0..<min(bytes.count, 600), using: &generator)
                    switch Int.random(in: 0..<5, using: &generator) {
                    case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                    case 1: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                    case 2: bytes.remove(at: place)
                    case 3: bytes = bytes.prefix(max(1, place))
                    default:
                        bytes[bytes.count - 1 - place % bytes.count] = UInt8.random(in: 0...255, using: &generator)
                    }
                    if bytes.isEmpty { break }
                }
                try bytes.write(to: URL(filePath: "\(folder)/\(name)"))
            }
            if let message = training.failure(changes, .resume) {
                messages.insert(message.filter { !$0.isNumber })
                #expect(message.contains("error: "), "\(message)")
            } else {
                taken += 1
            }
        }
        #expect(messages.count >= 5)
        print(
            "fuzz: \(Self.cases / 3) checkpoints of \(method), \(taken) taken, \(messages.count) different complaints")
    }
}

/// SplitMix64 (Steele et al. 2014).
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
