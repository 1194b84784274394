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
