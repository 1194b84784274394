import Foundation
import JSONText
import TestSupport
import Testing

@Suite("peft quantize") struct QuantizeCommandTests {
    private let small: SmallModel

    init() throws { small = try SmallModel() }

    private func failure(_ arguments: String...) throws -> String {
        let outcome = try RunningTool(arguments).outcome()
        #expect(outcome.output == "")
        return "\(outcome.status) " + outcome.errors
    }

    @Test("writes a base that every command takes, and says what it costs") func quantized() throws {
        let output = small.path("nf4")
        let outcome = try peft("quantize", "--base", small.model, "--output", output, "--double-quant")
        #expect(outcome.status == 0 && outcome.output == output + "\n")
        let lines = outcome.errors.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(
            lines.first?.hasPrefix("8 layers are in nf4, double now, ") == true
                && lines.first?.contains(" bits for each of 6,144 parameters; the weights take ") == true)
        #expect(lines.last?.hasPrefix("The weights' relative error is ") == true)
        #expect(lines.last?.hasSuffix("of the largest at most, and by 0 from what was quantized.") == true)
        let names = try FileManager.default.contentsOfDirectory(atPath: output).sorted()
        #expect(names == ["config.json", "merges.txt", "model.safetensors", "vocab.json"])
        let text = try FileSystemText.read(output + "/config.json")
        #expect(text.contains(#""llm_int8_threshold": 6.0,"#) && text.contains(#""quant_method": "bitsandbytes""#))
        let (whole, few) = try (small.loss(["--base", small.model]), small.loss(["--base", output]))
        let loaded = try small.loss(["--base", small.model, "--load-in-4bit"])
        #expect(whole != few && (whole - few).magnitude < 0.5)
        // Nested scales aside.
        #expect((loaded - few).magnitude < 0.05)
        for kind in ["fp4", "int8"] {
            let outcome = try peft(
                "quantize", "--base", small.model, "--output", small.path(kind), "--quant-type", kind, "--skip-modules",
                "c_proj", "lm_head", "--quiet")
            #expect(outcome == Outcome(status: 0, output: small.path(kind) + "\n", errors: ""))
            #expect(
                try FileSystemText.read(small.path(kind) + "/config.json").contains(
                    #"""
                    "llm_int8_skip_modules": [
                          "c_proj",
                          "lm_head"
                        ],
                    """#))
        }
    }

    @Test("names a tied head among the modules that a list leaves out, without which transformers looks for its codes")
    func heads() throws {
        let outcome = try peft(
            "quantize", "--base", small.model, "--output", small.path("out"), "--skip-modules", "c_proj", "--quiet")
        #expect(outcome.status == 0)
        #expect(try FileSystemText.read(small.path("out") + "/config.json").contains(#""lm_head""#))
    }

    @Test("says what is wrong") func problems() throws {
        let (base, output) = (small.model, small.path("out"))
        #expect(
            try failure("quantize", "--base", base, "--output", base, "--overwrite")
                == "73 \(base): error: the output would replace '\(base)', which is an input: choose another folder\n")
        #expect(
            try failure("quantize", "--base", base, "--output", small.path("a"))
                == "73 \(small.path("a")): error: the folder exists and is not empty: choose another, or replace it with "
                + "--overwrite\n")
        #expect(
            try failure("quantize", "--base", base, "--output", output, "--blocksize", "48").hasPrefix(
                "64 Error: --blocksize must be one of 32, 64, 128, 256, 512, 1024, 2048, 4096, got 48\n"))
        #expect(
            try failure("quantize", "--base", base, "--output", output, "--quant-type", "int8", "--double-quant")
                .hasPrefix(
                    "64 Error: --double-quant: 8-bit weights have a scale for each row, and no blocks\n"))
        #expect(
            try failure("quantize", "--base", base, "--output", output, "--skip-modules", "transformer")
                == "65 \(base): error: nothing is left to be quantized: every linear layer is skipped\n")
        #expect(
            try failure("quantize", "--base", base, "--output", output, "--skip-modules", "[")
                == "65 error: '[' isn't a pattern that can be read: unterminated character "
                + "set at character 4\n")
        #expect(try peft("quantize", "--base", base, "--output", output, "--quiet").status == 0)
        #expect(
            try failure("quantize", "--base", output, "--output", small.path("again"))
                == "65 \(output): error: is quantized already (nf4): take the model that it was made from, or write its "
                + "floats first with 'peft merge --base … --dequantize'\n")
        #expect(!FileManager.default.fileExists(atPath: small.path("again")))
    }

    /// Trains a LoRA on a base, with more of the section `model`.
    private func train(_ base: String, _ options: String, into output: String) throws {
        let records = (0..<24).map { #"{"q": "\#($0 % 7)", "a": "\#($0 % 5)\#($0 % 3)"}"# }
        try small.folder.write(records.joined(separator: "\n") + "\n", to: "records.jsonl")
        try small.folder.write(
            """
            model: {path: \(base)\(options)}
            data: {train: \(small.path("records.jsonl")), prompt: "{q}=", completion: "{a}"}
            peft: {method: lora, r: 2, target_modules: [c_attn]}
            training: {output_dir: \(output), max_steps: 6, per_device_train_batch_size: 4, learning_rate: 1.0e-2}

            """, to: "run.yaml")
        let outcome = try peft("train", "--config", small.path("run.yaml"), "--quiet")
        #expect(outcome.status == 0, "\(outcome.errors)")
    }

    @Test("leaves an adapter of a base that was quantized while it was read three ways to be merged")
    func whileReading()
        throws
    {
        let run = small.path("run")
        try train(small.model, ", load_in_4bit: true, bnb_4bit_use_double_quant: true", into: run)
        func merged(_ name: String, _ options: String...) throws -> String {
            let outcome = try RunningTool(["merge", "--adapter", run, "--output", small.path(name)] + options).outcome()
            #expect(outcome.status == 0 && outcome.output == small.path(name) + "\n", "\(outcome.errors)")
            return outcome.errors
        }
        let trained = try small.loss(["--adapter", run])
        let original = try merged("original")
        #expect(
            original.contains(
                "\nThe adapter was trained on weights in nf4, double: what was trained gives logits that differ from these by "
            )
        )
        #expect(original.hasSuffix(". --dequantize and --requantize keep to what was trained.\n"))
        #expect(try (small.loss(["--base", small.path("original")]) - trained).magnitude > 1e-4)
        #expect(try small.loss(["--adapter", run, "--no-load-in-4bit"]) != trained)
        let floats = try merged("floats", "--dequantize")
        #expect(floats.hasSuffix("8 weights that were in nf4, double are floats now.\n"))
        #expect(try (small.loss(["--base", small.path("floats")]) - trained).magnitude < 1e-5)
        let codes = try merged("codes", "--requantize")
        #expect(codes.contains("\n8 weights are in nf4, double; quantizing the sums moved the logits by "))
        #expect(
            try FileSystemText.read(small.path("codes/config.json")).contains("\"bnb_4bit_use_double_quant\": true"))
        let doctor = try peft("doctor", run)
        #expect(doctor.status == 0)
        #expect(doctor.output.contains("on \(small.model), trained with its weights in nf4, double"))
        let node = try JSONNode.parse(peft("doctor", run, "--json").output)
        #expect(try node.string("trained_quantization") == "nf4, double")
    }

    @Test("leaves an adapter of a quantized folder to be merged into the floats that the folder was made from")
    func folder() throws {
        let (base, run) = (small.path("nf4"), small.path("run"))
        #expect(try peft("quantize", "--base", small.model, "--output", base, "--quiet").status == 0)
        try train(base, "", into: run)
        #expect(
            try failure("merge", "--adapter", run, "--output", small.path("out"))
                == "65 \(base): error: holds weights in fewer bits (nf4), to which nothing can be added as they are: give "
                + "--dequantize to write floats, --requantize to quantize the sums anew, or with --base the model that it "
                + "was made from\n")
        let outcome = try peft("merge", "--adapter", run, "--base", small.model, "--output", small.path("out"))
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains("\nThe adapter was trained on weights in nf4: what was trained gives "))
        // Another base is refused as ever.
        #expect(
            try peft(
                "merge", "--base", small.model, "--adapter", small.path("a"), "--output", small.path("other"), "--quiet"
            ).status == 0)
        let other = try peft("merge", "--adapter", run, "--base", small.path("other"), "--output", small.path("no"))
        #expect(other.status == 65 && other.errors.contains("give the right one with --base, or --other-base"))
        #expect(
            try peft("merge", "--base", base, "--dequantize", "--output", small.path("floats"), "--quiet").status == 0)
        #expect(
            try (small.loss(["--base", small.path("floats")]) - small.loss(["--base", base])).magnitude < 1e-5)
        let doctor = try JSONNode.parse(peft("doctor", run, "--json").output).required("base_quantization")
        #expect(try doctor.string("kind") == "nf4" && doctor.integer("weights") == 8)
    }

    @Test("is told by inspect, without what lies beside codes") func inspected() throws {
        let base = small.path("nf4")
        #expect(try peft("quantize", "--base", small.model, "--output", base, "--double-quant", "-q").status == 0)
        let text = try peft("inspect", base, "--tensors").output
        #expect(text.contains("quantized    8 weights in nf4, double: 6,144 parameters at "))
        #expect(text.contains("\ntransformer.h.0.attn.c_attn.weight  nf4 [48, 16]\n"))
        #expect(!text.contains("absmax") && !text.contains("quant_map"))
        let node = try JSONNode.parse(peft("inspect", base, "--json").output)
        #expect(
            try node.integer("parameters")
                == JSONNode.parse(peft("inspect", small.model, "--json").output).integer("parameters"))
        let share = try #require(try node.array("quantized").first)
        #expect(try share.string("type") == "nf4" && share.boolean("double_quant") && share.integer("weights") == 8)
        #expect(try share.number("bits_per_parameter") == 8 * Double(share.integer("bytes")) / 6144)
    }

    @Test("and merging say what options don't go together") func options() throws {
        func message(_ arguments: String...) throws -> String {
            let outcome = try RunningTool(["merge", "--output", small.path("out")] + arguments).outcome()
            #expect(outcome.status == 64)
            return String(outcome.errors.split(separator: "\n").first ?? "")
        }
        let adapter = ["--adapter", small.path("a")]
        #expect(
            try message(adapter[0], adapter[1], "--dequantize", "--requantize")
                == "Error: --dequantize and --requantize: only one can be")
        #expect(
            try message(adapter[0], adapter[1], "--requantize", "--dtype", "float16")
                == "Error: --dtype: weights of 4 and 8 bits have no other type; leave out --requantize")
        #expect(
            try message("--base", small.model, "--requantize")
                == "Error: --requantize: nothing changes without --adapter")
        #expect(
            try failure("merge", "--base", small.model, "--dequantize", "--output", small.path("out"))
                == "65 \(small.model): error: holds floats, and no adapter was trained on them in fewer bits: merge without "
                + "--dequantize\n")
    }
}

private enum FileSystemText {
    static func read(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
    }
}
