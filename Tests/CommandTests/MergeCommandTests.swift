import Foundation
import JSONText
import Testing

@Suite("peft merge") struct MergeCommandTests {
    private let small: SmallModel

    init() throws { small = try SmallModel() }

    @Test("makes a model that evaluates and generates like base and adapter") func merged() throws {
        let outcome = try peft("merge", "--adapter", small.path("a"), "--output", small.path("merged"))
        #expect(outcome.status == 0)
        #expect(outcome.output == small.path("merged") + "\n")
        #expect(outcome.errors.hasPrefix("Merged into 2 of 28 tensors; the logits of probe prompts differ by "))
        let names = try FileManager.default.contentsOfDirectory(atPath: small.path("merged")).sorted()
        #expect(names == ["config.json", "merges.txt", "model.safetensors", "vocab.json"])
        let (with, into) = try (
            small.loss(["--adapter", small.path("a")]), small.loss(["--base", small.path("merged")])
        )
        #expect((with - into).magnitude < 1e-5)
        #expect(try (small.loss(["--base", small.model]) - with).magnitude > 1e-3)
    }

    @Test("takes a weight behind a colon") func weights() throws {
        let outcome = try peft(
            "merge", "--adapter", small.path("a") + ":0.25", "--adapter", small.path("a") + ":0.75", "--adapter",
            small.path("b") + ":0", "--output", small.path("merged"), "--quiet")
        #expect(outcome.status == 0 && outcome.errors == "")
        #expect(
            try (small.loss(["--adapter", small.path("a")]) - small.loss(["--base", small.path("merged")])).magnitude
                < 1e-5)
    }

    @Test("says what is wrong") func errors() throws {
        func failure(_ arguments: String...) throws -> String {
            let outcome = try RunningTool(["merge"] + arguments).outcome()
            #expect(outcome.output == "")
            return "\(outcome.status) " + outcome.errors
        }
        #expect(
            try failure("--adapter", small.path("none"), "--output", small.path("out"))
                == "66 \(small.path("none")): error: no such folder\n")
        #expect(
            try failure("--adapter", small.path("a"), "--output", small.path("b"))
                == "73 \(small.path("b")): error: the folder exists and is not empty: choose another, or replace it with "
                + "--overwrite\n")
        #expect(
            try failure("--adapter", small.path("a"), "--output", small.path("a"), "--overwrite")
                == "73 \(small.path("a")): error: the output would replace '\(small.path("a"))', which is an input: "
                + "choose another folder\n")
        try small.folder.write(
            try small.folder.text("a/adapter_config.json").replacing("/model\"", with: "/gone\""),
            to: "c/adapter_config.json")
        try FileManager.default.copyItem(
            atPath: small.path("a/adapter_model.safetensors"), toPath: small.path("c/adapter_model.safetensors"))
        #expect(
            try failure("--adapter", small.path("c"), "--output", small.path("out"))
                == "66 \(small.path("gone")): error: no such folder\nThe adapter names this base model; give another with "
                + "--base\n")
        try small.folder.write(
            try small.folder.text("b/adapter_config.json").replacing("/model\"", with: "/other\""),
            to: "b/adapter_config.json")
        #expect(
            try failure("--adapter", small.path("a"), "--adapter", small.path("b"), "--output", small.path("out"))
                == "65 error: the adapters name different base models, '\(small.model)' and '\(small.path("other"))': "
                + "give one with --base\n")
        #expect(
            try failure("--adapter", small.path("b"), "--output", small.path("out")).hasPrefix("66 "))
    }
}
