import Foundation
import Glibc
import JSONText
import Testing

@Suite("Predictions of an evaluation that was interrupted") struct PredictionResumeTests {
    private let small: SmallModel
    private var out: String { small.path("p.jsonl") }
    private var progress: String { small.path(".p.jsonl.progress") }

    init() throws {
        small = try SmallModel()
        let records = (0..<300).map { #"{"q": "\#($0)?", "a": "answer \#($0)", "c": ["answer \#($0)", "no"]}"# + "\n" }
        try small.folder.write(records.joined(), to: "d.jsonl")
    }

    private func arguments(_ more: [String], tokens: Int = 24) -> [String] {
        [
            "eval", "--adapter", small.path("a"), "--data", small.path("d.jsonl"), "--prompt", "{q}", "--completion",
            "{a}",
            "--metrics", "rouge,bleu,chrf,exact_match,f1,accuracy", "--json", "--max-new-tokens", "\(tokens)",
            "--save-predictions", out,
        ] + more
    }

    private func run(_ more: [String], tokens: Int = 24) throws -> Outcome {
        let outcome = try RunningTool(arguments(more, tokens: tokens)).outcome()
        return Outcome(
            status: outcome.status, output: outcome.output,
            errors: outcome.errors.replacing(small.folder.path + "/", with: ""))
    }

    private func lineCount() -> Int { (try? small.folder.text("p.jsonl"))?.split(separator: "\n").count ?? 0 }

    /// Leaves an evaluation behind that was killed after some lines.
    private func interrupt(_ more: [String] = []) throws {
        let tool = try RunningTool(arguments(more))
        let deadline = Date(timeIntervalSinceNow: 60)
        while lineCount() < 5, !tool.hasEnded, Date() < deadline { usleep(1000) }
        tool.send(SIGKILL)
        #expect(try tool.outcome().status == -9)
        #expect(FileManager.default.fileExists(atPath: progress))
    }

    @Test(
        "go on where they were, to the same lines and scores", arguments: [[], ["--choices", "c"], ["--compare-base"]])
    func goingOn(more: [String]) throws {
        let whole = try run(more)
        #expect(whole.status == 0, "\(whole.errors)")
        let text = try small.folder.text("p.jsonl")
        #expect(!FileManager.default.fileExists(atPath: progress))
        try FileManager.default.removeItem(atPath: out)
        // Nothing to go on with: it begins.
        try interrupt(more + ["--resume"])
        let left = try small.folder.text("p.jsonl")
        #expect(left.utf8.count < text.utf8.count && text.hasPrefix(left.split(separator: "\n").first ?? ""))
        // What a stopped process left of a line.
        try small.folder.write(left + "{\"prompt\": \"2", to: "p.jsonl")
        let resumed = try run(more + ["--resume"])
        #expect(resumed == whole, "\(resumed.errors)")
        #expect(try small.folder.text("p.jsonl") == text)
        #expect(!FileManager.default.fileExists(atPath: progress))
    }

    @Test("of labels come as they are told, and go on where they were to the same lines and scores") func labels()
        throws
    {
        let records = (0..<700).map { #"{"q": "text \#($0)?", "l": "\#(["good", "bad", "so so"][$0 % 3])"}"# + "\n" }
        try small.folder.write(records.joined(), to: "labels.jsonl")
        func run(_ more: [String]) throws -> Outcome {
            try RunningTool(labelArguments + more).outcome()
        }
        let whole = try run([])
        #expect(whole.status == 0, "\(whole.errors)")
        let text = try small.folder.text("p.jsonl")
        let first = try JSONNode.parse(String(text.prefix { $0 != "\n" }))
        #expect(try first.asObject().map(\.key) == ["text", "prediction", "label", "scores"])
        #expect(try first.array("scores").count == 3)
        try FileManager.default.removeItem(atPath: out)
        let tool = try RunningTool(labelArguments)
        let deadline = Date(timeIntervalSinceNow: 60)
        while lineCount() < 5, !tool.hasEnded, Date() < deadline { usleep(1000) }
        tool.send(SIGKILL)
        #expect(try tool.outcome().status == -9)
        let left = try small.folder.text("p.jsonl")
        #expect(left.utf8.count < text.utf8.count && text.hasPrefix(left))
        // In the middle of a pass, and of a line.
        let lines = left.split(separator: "\n").map(String.init)
        try small.folder.write(lines.prefix(3).joined(separator: "\n") + "\n{\"text", to: "p.jsonl")
        let resumed = try run(["--resume"])
        #expect(resumed == whole, "\(resumed.errors)")
        #expect(try small.folder.text("p.jsonl") == text)
    }

    private var labelArguments: [String] {
        [
            "eval", "--base", small.model, "--data", small.path("labels.jsonl"), "--text", "{q}", "--label", "{l}",
            "--json", "--save-predictions", out,
        ]
    }

    @Test("have the loss beside them, which isn't measured again") func loss() throws {
        let whole = try run([])
        try FileManager.default.removeItem(atPath: out)
        try interrupt()
        let noted = try JSONNode.load(path: progress).array("losses")
        #expect(noted.count == 1)
        #expect(try noted[0].integer("examples") == 300)
        // Another number shows that it is taken from there.
        let tokens = try noted[0].integer("tokens")
        try small.folder.write(
            try small.folder.text(".p.jsonl.progress").replacing(
                "\"tokens\": \(tokens)", with: "\"tokens\": \(2 * tokens)"),
            to: ".p.jsonl.progress")
        let text = try small.folder.text(".p.jsonl.progress")
        for count in ["-1", "9223372036854775807"] {
            try small.folder.write(
                text.replacing("\"tokens\": \(2 * tokens)", with: "\"tokens\": \(count)"), to: ".p.jsonl.progress")
            let outcome = try run(["--resume"])
            #expect(outcome.status == 65 && outcome.output == "")
            let message = outcome.errors.split(separator: ": ", maxSplits: 1).last.map(String.init)
            #expect(
                message
                    == "error: losses[0].tokens: must be a count up to 9,007,199,254,740,992, got \(count), so that the "
                    + "predictions beside it can't be gone on with. Give --overwrite to begin anew\n")
        }
        try small.folder.write(text, to: ".p.jsonl.progress")
        let resumed = try JSONNode.parse(run(["--resume"]).output)
        let expected = try JSONNode.parse(whole.output)
        #expect(try resumed.number("loss") == expected.number("loss") / 2)
    }

    @Test("are there as soon as those before them are, and only go on as they began") func refusals() throws {
        try interrupt()
        let left = try small.folder.text("p.jsonl")
        #expect(
            try run([])
                == Outcome(
                    status: 73, output: "",
                    errors:
                        "p.jsonl: error: exists already: give --resume to go on with it, --overwrite to replace it, or "
                        + "choose another file\n"))
        func refused(_ what: String, _ more: [String] = [], tokens: Int = 24) throws {
            let outcome = try run(["--resume"] + more, tokens: tokens)
            #expect(outcome.status == 65 && outcome.output == "")
            #expect(
                outcome.errors
                    == "p.jsonl: error: can't be gone on with: the \(what) of its predictions was another. Give --overwrite "
                    + "to begin anew\n")
            #expect(try small.folder.text("p.jsonl") == left)
        }
        try refused("settings", tokens: 25)
        try refused("data", ["--limit", "299"])
        try refused("settings", ["--prompt", "<{q}>"])
        for decoding in [
            ["--num-beams", "2"], ["--repetition-penalty", "1.1"], ["--encoder-repetition-penalty", "1.1"],
            ["--no-repeat-ngram-size", "3"], ["--encoder-no-repeat-ngram-size", "3"], ["--min-length", "1"],
            ["--min-new-tokens", "1"], ["--bad-word", "a"], ["--stop", "a"],
        ] {
            try refused("settings", decoding)
        }
        let weights = try Data(contentsOf: small.folder.url.appending(path: "a/adapter_model.safetensors"))
        let others = try Data(contentsOf: small.folder.url.appending(path: "b/adapter_model.safetensors"))
        try others.write(to: small.folder.url.appending(path: "a/adapter_model.safetensors"))
        try refused("adapter")
        try weights.write(to: small.folder.url.appending(path: "a/adapter_model.safetensors"))
        var lines = left.split(separator: "\n").map(String.init)
        lines[2] = lines[2].replacing("answer 2", with: "answer 3")
        try small.folder.write(lines.joined(separator: "\n") + "\n", to: "p.jsonl")
        #expect(
            try run(["--resume"]).errors
                == "p.jsonl:3:1: error: isn't what this evaluation has there. Give --overwrite to begin anew\n")
        lines[2] = "{"
        try small.folder.write(lines.joined(separator: "\n") + "\n", to: "p.jsonl")
        let broken = try run(["--resume"])
        #expect(broken.status == 65 && broken.errors.hasPrefix("p.jsonl:3:2: error: "), "\(broken.errors)")
        try small.folder.write("{", to: ".p.jsonl.progress")
        #expect(
            try run(["--resume"])
                == Outcome(
                    status: 65, output: "",
                    errors:
                        ".p.jsonl.progress:1:2: error: the text ends inside an object, so that the predictions beside it "
                        + "can't be gone on with. Give --overwrite to begin anew\n"))
        #expect(try run(["--overwrite"]).status == 0)
        #expect(lineCount() == 300)
        #expect(
            try run(["--resume"])
                == Outcome(
                    status: 73, output: "",
                    errors:
                        "p.jsonl: error: can't be gone on with: nothing beside it says that an evaluation of it was "
                        + "interrupted. Give --overwrite to replace it, or choose another file\n"))
    }

    @Test(
        "need options that go together",
        arguments: [
            (["--resume"], "Error: --resume goes on with the file of --save-predictions: give that too"),
            (
                ["--resume", "--overwrite", "--save-predictions", "x"],
                "Error: --resume goes on with what --overwrite would replace: give one of them"
            ),
        ])
    func usage(arguments: [String], message: String) throws {
        let outcome = try RunningTool(["eval", "--base", "x"] + arguments).outcome()
        #expect(outcome.status == 64 && outcome.output == "")
        #expect(outcome.errors.split(separator: "\n").first.map(String.init) == message)
    }
}
