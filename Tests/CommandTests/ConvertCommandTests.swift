import Checkpoints
import Foundation
import JSONText
import Tensors
import TestSupport
import Testing

@Suite("peft convert") struct ConvertCommandTests {
    private let small: SmallModel

    init() throws { small = try SmallModel() }

    private func convert(_ arguments: String...) throws -> (report: JSONNode, errors: [Double]) {
        let outcome = try RunningTool(["convert", "--json"] + arguments).outcome()
        #expect(outcome.status == 0, "\(outcome.errors)")
        let report = try JSONNode.parse(outcome.output)
        return (report, try report.array("modules").map { try $0.number("relative_error") })
    }

    /// Adapter `a` with a magnitude for each output, which no pair of a low rank makes up for.
    private func makeMagnitudes() throws {
        let configuration = try small.folder.text("a/adapter_config.json")
        try small.folder.write(
            configuration.replacing("\"r\":", with: "\"use_dora\": true, \"r\":"), to: "dora/adapter_config.json")
        let file = try SafetensorsFile(path: small.path("a/adapter_model.safetensors"), warn: { _ in })
        var tensors = try file.tensors.map { OutgoingTensor($0.name, try file.tensor(named: $0.name), as: .float32) }
        for layer in 0..<2 {
            tensors.append(
                OutgoingTensor(
                    "base_model.model.transformer.h.\(layer).attn.c_attn.lora_magnitude_vector",
                    Tensor(noise(48, seed: 7).map { 1.5 + $0 }, shape: [48]), as: .float32))
        }
        try SafetensorsWriter.write(tensors, to: small.path("dora/adapter_model.safetensors"))
    }

    @Test("keeps a LoRA of its own rank as it is but for rounding, and says how far a smaller one is off")
    func ranks() throws {
        let same = try convert("--adapter", small.path("a"), "--rank", "2", "--output", small.path("same"))
        #expect(same.errors.count == 2 && same.errors.allSatisfy { $0 < 1e-5 })
        #expect(try same.report.number("relative_error") < 1e-5)
        #expect(try same.report.number("logit_difference") < 1e-5)
        let adapted = try small.loss(["--adapter", small.path("a")])
        #expect((try small.loss(["--adapter", small.path("same")]) - adapted).magnitude < 1e-5)
        let less = try convert("--adapter", small.path("a"), "--rank", "1", "--output", small.path("less"))
        #expect(less.errors.allSatisfy { (0.05..<1).contains($0) })
        #expect((try small.loss(["--adapter", small.path("less")]) - adapted).magnitude > 1e-4)
    }

    @Test("turns DoRA into LoRA: exactly at full rank, and the nearer the higher the rank")
    func magnitudes() throws {
        try makeMagnitudes()
        let errors = try [2, 8, 16].map { rank in
            try convert(
                "--adapter", small.path("dora"), "--rank", "\(rank)", "--output", small.path("dora-\(rank)")
            ).report.number("relative_error")
        }
        #expect(errors[0] > errors[1] && errors[1] > errors[2] && errors[2] < 1e-5)
        let adapted = try small.loss(["--adapter", small.path("dora")])
        #expect((try small.loss(["--adapter", small.path("dora-16")]) - adapted).magnitude < 1e-4)
    }

    @Test("turns a tuned model's difference from its base into an adapter: weights, tables, biases and norms")
    func models() throws {
        let file = try SafetensorsFile(path: small.path("model/model.safetensors"), warn: { _ in })
        let tuned = try file.tensors.enumerated().map { index, entry in
            let tensor = try file.tensor(named: entry.name).copy()
            for (i, value) in noise(tensor.count, seed: UInt64(index + 50), scale: 0.3).enumerated() {
                tensor.data[i] += value
            }
            return OutgoingTensor(entry.name, tensor, as: .float32)
        }
        for name in ["config.json", "vocab.json", "merges.txt"] {
            try small.folder.write(small.folder.text("model/" + name), to: "tuned/" + name)
        }
        try SafetensorsWriter.write(tuned, to: small.path("tuned/model.safetensors"))
        let (report, errors) = try convert(
            "--model", small.path("tuned"), "--base", small.model, "--rank", "16", "--output", small.path("out"))
        // Eight linear layers, two tables and the head, which shares one.
        #expect(errors.count == 11 && errors.allSatisfy { $0 < 1e-5 })
        #expect(try report.array("stored_whole").count == 5)
        let expected = try small.loss(["--base", small.path("tuned")])
        #expect((try small.loss(["--adapter", small.path("out")]) - expected).magnitude < 1e-4)
        #expect((try small.loss(["--base", small.model]) - expected).magnitude > 1e-3)
    }

    @Test("says what is wrong") func errors() throws {
        func failure(_ arguments: String...) throws -> String {
            let outcome = try RunningTool(["convert"] + arguments).outcome()
            #expect(outcome.output == "")
            return "\(outcome.status) " + outcome.errors
        }
        #expect(
            try failure("--model", small.model, "--base", small.model, "--rank", "2", "--output", small.path("out"))
                == "65 \(small.model): error: changes nothing of '\(small.model)': there is nothing to convert\n")
        #expect(
            try failure("--adapter", small.path("a"), "--rank", "2", "--output", small.path("b"))
                == "73 \(small.path("b")): error: there is something already: choose another folder\n")
        #expect(
            try failure("--adapter", small.path("a"), "--model", small.model, "--rank", "2", "--output", "x")
                .hasPrefix("64 "))
        #expect(try failure("--adapter", small.path("a"), "--rank", "0", "--output", "x").hasPrefix("64 "))
    }
}
