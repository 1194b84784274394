import Foundation
import Glibc
import Testing

@Suite("What lies where results go") struct DataLossTests {
    private let small: SmallModel

    init() throws { small = try SmallModel() }

    private func merge(_ more: String..., to output: String) throws -> Outcome {
        try RunningTool(["merge", "--adapter", small.path("a"), "--output", output, "--quiet"] + more).outcome()
    }

    private func names(_ path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: small.path(path))) ?? []).sorted()
    }

    private static let model = ["config.json", "merges.txt", "model.safetensors", "vocab.json"]

    @Test("stays where a link to it lies under the name of an unfinished output")
    func planted() throws {
        try small.folder.write("thesis", to: "precious/thesis.txt")
        for name in ["merged", "converted", "predictions.jsonl"] {
            try #require(symlink(small.path("precious"), small.path(".\(name).partial")) == 0)
        }
        _ = try small.loss(["--base", small.model])
        let commands = [
            ["merge", "--adapter", small.path("a"), "--output", small.path("merged")],
            ["convert", "--adapter", small.path("a"), "--rank", "2", "--output", small.path("converted")],
        ]
        for command in commands {
            let outcome = try RunningTool(command).outcome()
            #expect(outcome.status == 73 && outcome.errors.contains("is taken by something that no earlier run left"))
        }
        #expect(names("precious") == ["thesis.txt"])
    }

    @Test("is a whole model at every moment of merge --overwrite, and the next run goes through wherever it is killed")
    func killed() throws {
        #expect(try merge(to: small.path("out")).status == 0)
        for round in 0..<12 {
            let tool = try RunningTool(
                ["merge", "--adapter", small.path("b"), "--output", small.path("out"), "--overwrite", "--quiet"])
            if round % 2 == 0 {
                while names(".out.partial").isEmpty, !tool.hasEnded { usleep(200) }
                usleep(UInt32(round * 1501))
            } else {
                while !tool.hasEnded, names(".out.partial").count < 4 { usleep(200) }
            }
            tool.send(SIGKILL)
            _ = try tool.outcome()
            #expect(names("out") == Self.model)
        }
        #expect(try merge("--overwrite", to: small.path("out")).status == 0)
        #expect(names("out") == Self.model && names("").allSatisfy { !$0.hasPrefix(".out") })
    }

    @Test("is kept by merge --overwrite where it is more than a model") func more() throws {
        try small.folder.write("{}", to: "project/config.json")
        try small.folder.write("thesis", to: "project/notes/thesis.txt")
        let outcome = try merge("--overwrite", to: small.path("project"))
        #expect(
            outcome.errors
                == "\(small.path("project")): error: the folder holds no model, which is all that --overwrite replaces, but "
                + "'config.json', 'notes': choose another folder\n")
        #expect(outcome.status == 73 && names("project/notes") == ["thesis.txt"])
    }

    @Test("is kept by the results of an evaluation, unless it may be replaced, and the data in any case")
    func predictions() throws {
        let records = (0..<8).map { #"{"q": "\#($0)", "a": "answer"}"# }.joined(separator: "\n") + "\n"
        try small.folder.write(records, to: "own.jsonl")
        func save(_ name: String, _ more: String...) throws -> Outcome {
            try RunningTool(
                [
                    "eval", "--base", small.model, "--data", small.path("own.jsonl"), "--prompt", "{q}", "--completion",
                    "{a}", "--rouge", "--limit", "1", "--max-new-tokens", "2", "--quiet", "--save-predictions",
                    small.path(name),
                ] + more
            ).outcome()
        }
        for more in [[], ["--overwrite"]] {
            let outcome = try more.isEmpty ? save("own.jsonl") : save("own.jsonl", "--overwrite")
            #expect(outcome.status == 73)
            #expect(
                outcome.errors
                    == "\(small.path("own.jsonl")): error: is an input of this command ('\(small.path("own.jsonl"))'), "
                    + "which would be lost: choose another file\n")
        }
        #expect(try small.folder.text("own.jsonl") == records)
        #expect(try save("new.jsonl").status == 0)
        let second = try save("new.jsonl")
        #expect(
            second.errors
                == "\(small.path("new.jsonl")): error: exists already: give --overwrite to replace it, or choose another "
                + "file\n")
        #expect(try second.status == 73 && save("new.jsonl", "--overwrite").status == 0)
    }
}
