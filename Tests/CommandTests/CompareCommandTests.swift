import Foundation
import JSONText
import Testing

@Suite("peft compare") struct CompareCommandTests {
    private let small: SmallModel
    private let configuration: String
    private var output: String { small.path("compare") }

    init() throws {
        small = try SmallModel()
        let records = (0..<12).map { #"{"q": "\#($0)?", "a": "a\#($0 % 3)"}"# }
        try small.folder.write(records.joined(separator: "\n") + "\n", to: "data.jsonl")
        configuration = try small.folder.write(
            """
            model: {path: \(small.model)}
            data: {train: \(small.path("data.jsonl")), validation: \(small.path("data.jsonl")), prompt: "{q}\\n",
                   completion: "{a}"}
            peft: {method: lora, r: 2}
            training: {output_dir: \(small.path("elsewhere")), max_steps: 4, logging_steps: 1, eval_steps: 2,
                       per_device_train_batch_size: 4, learning_rate: 1.0e-2}
            """, to: "lora.yaml"
        ).path(percentEncoded: false)
    }

    private func compare(_ arguments: String...) throws -> Outcome {
        try RunningTool(
            ["compare", "--output", output, "--threads", "1", "--max-new-tokens", "3", "--limit", "2"] + arguments
        ).outcome()
    }

    @Test("trains each method and prints one row for each, the base model first")
    func rows() throws {
        let page = small.path("page.html")
        let outcome = try compare(
            "--config", configuration, "--methods", "lora,full", "--shots", "2", "--json", "--html", page)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let rows = try JSONNode.parse(outcome.output).array("rows")
        #expect(try rows.map { try $0.string("name") } == ["base", "base, 2 shots", "lora", "full"])
        for row in rows {
            #expect(try row.number("eval_loss") > 0 && row.optional("error") == nil)
            #expect(try row.required("scores").required("rougeL").optional("fmeasure") != nil)
        }
        let (lora, full) = (rows[2], rows[3])
        // A [2, 16] and B [48, 2] in each of two layers.
        #expect(try lora.integer("trainable_parameters") == 2 * (2 * 16 + 48 * 2))
        #expect(try full.integer("trainable_parameters") == full.integer("total_parameters"))
        #expect(try lora.integer("bytes") < full.integer("bytes"))
        for row in [lora, full] {
            #expect(try row.number("seconds_per_step") > 0 && row.integer("peak_memory_bytes") > 0)
            #expect(try row.array("curve").map { try $0.integer("step") } == [1, 2, 3, 4])
            #expect(try row.array("eval_curve").map { try $0.integer("step") } == [2, 4])
            #expect(try row.array("eval_curve")[1].number("loss") == row.number("eval_loss"))
        }
        // The same as by hand.
        let alone = try RunningTool(
            ["train", "--config", configuration, "--threads", "1", "--json", "--quiet"]
        ).outcome()
        let summary = try JSONNode.parse(alone.output)
        #expect(try summary.number("eval_loss") == lora.number("eval_loss"))
        let text = try small.folder.text("page.html")
        #expect(text.hasPrefix("<!DOCTYPE html>") && text.contains("<td>base, 2 shots</td>"))
        #expect(text.components(separatedBy: "<polyline ").count == 1 + 4)
        #expect(!text.contains("http"), "the page needs something from elsewhere")
    }

    @Test("gives a method that fails its row with the reason, and goes on")
    func failure() throws {
        let wrong = try small.folder.write(
            small.folder.text("lora.yaml").replacing("r: 2", with: "r: 2, target_modules: [nothing]"), to: "wrong.yaml"
        ).path(percentEncoded: false)
        let outcome = try compare("--config", wrong, "--config", configuration, "--shots", "0", "--quiet")
        #expect(outcome.status == 65 && outcome.errors.hasSuffix("error: 1 of 3 rows of the table failed\n"))
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.count == 4 && lines[0].hasPrefix("method ") && lines[1].hasPrefix("base "))
        #expect(lines[2].hasPrefix("wrong   failed: ") && lines[2].contains("'nothing' matches no"), "\(lines[2])")
        #expect(lines[3].hasPrefix("lora  "))
    }

    @Test("tries learning rates and takes the best by the validation loss")
    func learningRates() throws {
        let outcome = try compare("--config", configuration, "--shots", "0", "--learning-rates", "1e-9,x3", "--json")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let row = try JSONNode.parse(outcome.output).array("rows")[1]
        let tried = try row.array("tried")
        #expect(try tried.map { try $0.number("learning_rate") } == [1e-9, 0.03])
        #expect(try row.number("learning_rate") == 0.03)
        #expect(try row.number("eval_loss") == tried[1].number("eval_loss"))
        #expect(try tried[1].number("eval_loss") < tried[0].number("eval_loss"))
    }

    @Test("is refused where model, data or seed differ, and where the folder holds runs")
    func refused() throws {
        let other = try small.folder.write(
            small.folder.text("lora.yaml").replacing("max_steps: 4", with: "max_steps: 4, seed: 7"), to: "other.yaml"
        ).path(percentEncoded: false)
        let different = try compare("--config", configuration, "--config", other)
        #expect(different.status == 65)
        #expect(
            different.errors
                == "other: error: training.seed: differs from \(configuration): methods are compared on the same model, "
                + "data and seed\n")
        try small.folder.write("x", to: "compare/lora/file")
        let held = try compare("--config", configuration)
        #expect(held.status == 73)
        #expect(
            held.errors
                == "\(output)/lora: error: the folder already holds a run: give --resume to go on, or --overwrite to begin "
                + "anew\n")
        let rate = try compare("--config", configuration, "--learning-rates", "fast", "--overwrite")
        #expect(rate.status == 64)
        let usage = try compare("--config", configuration, "--config", other, "--methods", "lora")
        #expect(usage.status == 64)
    }

    @Test("says at once what would spoil it later: names of methods, files and folders")
    func wrong() throws {
        func failure(_ arguments: String...) throws -> String {
            let outcome = try RunningTool(
                ["compare", "--config", configuration, "--methods", "lora"] + arguments
            ).outcome()
            #expect(outcome.output == "")
            return "\(outcome.status) " + (outcome.errors.split(separator: "\n").first.map(String.init) ?? "")
        }
        let output = ["--output", self.output]
        #expect(try failure("--methods", "ia3,ia3", output[0], output[1]) == "64 Error: --methods names 'ia3' twice")
        let unknown = try failure("--methods", "ia4", output[0], output[1])
        #expect(unknown.hasPrefix("64 error: --methods: expected names out of full, lora, "), "\(unknown)")
        #expect(unknown.hasSuffix(", got 'ia4'"), "\(unknown)")
        #expect(
            try failure("--methods", "p_tuning", output[0], output[1])
                == "65 --methods p_tuning: error: peft.num_virtual_tokens: missing: this key is required; give what a "
                + "method needs with --set, or with --variants for each its own")
        #expect(
            try failure("--methods", "bitfit", "--set", "peft.r=4", output[0], output[1])
                == "65 --set peft.r=4: error: peft.r: unknown key; known here: biases, init_from, method, "
                + "modules_to_save")
        #expect(
            try failure("--output", configuration)
                == "73 \(configuration): error: is a file where a folder is to be made")
        #expect(
            try failure("--html", small.path("none/page.html"), output[0], output[1])
                == "73 \(small.path("none")): error: no such folder to write '\(small.path("none/page.html"))' to")
        #expect(
            try failure("--data", small.path("none.jsonl"), output[0], output[1])
                == "66 \(small.path("none.jsonl")): error: no such file")
        #expect(!FileManager.default.fileExists(atPath: self.output))
    }

    @Test("refuses names that are no folders inside its own, or the same on some file systems")
    func names() throws {
        func failure(_ names: [String]) throws -> String {
            let text = names.map { "\($0): {peft: {method: full}}\n" }.joined()
            let file = try small.folder.write(text, to: "variants.yaml").path(percentEncoded: false)
            let outcome = try RunningTool(
                ["compare", "--config", configuration, "--variants", file, "--output", output]
            ).outcome()
            #expect(outcome.output == "" && outcome.status == 65)
            return outcome.errors
        }
        let advice = ": call it otherwise\n"
        for name in ["../x", "/x", "a/b", "..", "."] {
            #expect(
                try failure(["\"\(name)\""]) == "error: '\(name)' can't be the name of a folder inside --output"
                    + advice)
        }
        #expect(
            try failure([#""a\x1b[31mb""#]) == "error: 'a\\u001b[31mb' can't be the name of a folder inside --output"
                + advice
        )
        #expect(
            try failure(["\"\""]) == "error: a method of the comparison has an empty name, and its folder needs one"
                + advice)
        #expect(
            try failure([String(repeating: "é", count: 101)])
                == "error: the name '\(String(repeating: "é", count: 40))…' has 202 bytes, and a folder's at most 200"
                + advice)
        #expect(try failure([".x"]) == "error: '.x' would be a hidden folder" + advice)
        #expect(try failure(["Base"]) == "error: 'Base' is the row of the model as it is" + advice)
        #expect(
            try failure(["lora", "LoRA"])
                == "error: 'lora' and 'LoRA' differ by case alone, and not every file system tells them apart" + advice)
        #expect(!FileManager.default.fileExists(atPath: output))
        let upper = try small.folder.write(small.folder.text("lora.yaml"), to: "LORA.yaml").path(percentEncoded: false)
        #expect(
            try compare("--config", configuration, "--config", upper).errors
                == "error: 'lora' and 'LORA' differ by case alone, and not every file system tells them apart: give the "
                + "configuration's file another name\n")
    }

    @Test("makes folders of any other name, whatever YAML would take it for")
    func oddNames() throws {
        let file = try small.folder.write(
            "\"r: 2 #1\": {peft: {method: lora, r: 2}}\n", to: "variants.yaml"
        ).path(percentEncoded: false)
        let outcome = try compare("--config", configuration, "--variants", file, "--shots", "0", "--json")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let row = try JSONNode.parse(outcome.output).array("rows")[1]
        #expect(try row.string("name") == "r: 2 #1" && row.number("eval_loss") > 0)
        #expect(FileManager.default.fileExists(atPath: "\(output)/r: 2 #1/adapter_config.json"))
    }

    @Test("prints its table and fails where every row does")
    func allFailing() throws {
        try small.folder.write("", to: "data.jsonl")
        let outcome = try compare("--config", configuration, "--shots", "0", "--quiet")
        #expect(outcome.status == 65)
        #expect(outcome.output.split(separator: "\n").count == 3)
        #expect(outcome.errors == "error: nothing could be measured: every row of the table failed\n")
    }

    @Test("stops cleanly at a signal: the run at hand saves, the rows so far come out, and --resume goes on")
    func interrupted() throws {
        let long = ["--set", "training.max_steps=100000", "--set", "training.eval_steps=100000"]
        let arguments = ["compare", "--config", configuration, "--output", output, "--threads", "1", "--shots", "0"]
        let tool = try RunningTool(arguments + long)
        let metrics = small.folder.url.appending(path: "compare/lora/metrics.jsonl")
        for _ in 0..<600 where !tool.hasEnded {
            if let text = try? String(contentsOf: metrics, encoding: .utf8), text.count > 400 { break }
            Thread.sleep(forTimeInterval: 0.05)
        }
        tool.send(SIGINT)
        let outcome = try tool.outcome()
        #expect(outcome.status == 130, "\(outcome.errors)")
        #expect(outcome.output.split(separator: "\n").count == 2)
        let saved = try FileManager.default.contentsOfDirectory(
            atPath: small.folder.url.appending(path: "compare/lora/checkpoints").path(percentEncoded: false))
        let step = try #require(saved.first.flatMap { Int($0.dropFirst("step-".count)) })
        let rest = ["--set", "training.max_steps=100000", "--set", "training.eval_steps=100000", "--resume"]
        let again = try RunningTool(arguments + rest)
        let log = { (try? String(contentsOf: metrics, encoding: .utf8)) ?? "" }
        for _ in 0..<600 where !again.hasEnded && !log().contains("\"step\": \(step + 5),") {
            Thread.sleep(forTimeInterval: 0.05)
        }
        #expect(log().contains("\"step\": \(step + 5),"))
        again.send(SIGTERM)
        #expect(try again.outcome().status == 130)
    }
}
