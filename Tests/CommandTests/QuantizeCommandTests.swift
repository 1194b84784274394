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
}

private enum FileSystemText {
    static func read(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
    }
}
