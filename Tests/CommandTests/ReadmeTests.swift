import Foundation
import TestSupport
import Testing

/// The commands of README.md, one a line, without comments.
private let commands: [String] = {
    let text = (try? String(contentsOf: repositoryRoot.appending(path: "README.md"), encoding: .utf8)) ?? ""
    return text.split(separator: "\n").compactMap { line in
        // What a pipe brings is the same for all.
        let line = line.split(separator: "' | ", maxSplits: 1).last ?? line
        guard line.hasPrefix("peft ") else { return nil }
        let command = line.firstRange(of: " #").map { line[..<$0.lowerBound] } ?? line
        return command.trimmingCharacters(in: .whitespaces)
    }
}()

private let hasBase = FileManager.default.fileExists(
    atPath: repositoryRoot.appending(path: "embedded/base/model.safetensors").path(percentEncoded: false))

@Suite("README.md")
struct ReadmeTests {
    @Test("has an example of every command", arguments: UsageTests.commands)
    func complete(command: String) { #expect(commands.contains { $0.hasPrefix("peft \(command) ") }) }

    /// In the order of the page, so that what one leaves behind is there for the next; cut short, and in a folder of its
    /// own instead of runs/.
    @Test("its commands work, one after the other", .enabled(if: hasBase, "the base model's weights aren't there"))
    func working() throws {
        let folder = try TemporaryFolder()
        let records = [
            #"{"mr": "name[A], food[Indian]", "ref": "A is Indian."}"#,
            #"{"mr": "food[French]", "ref": "It is French."}"#,
        ]
        try folder.write(records.joined(separator: "\n"), to: "few.jsonl")
        let prompts = "The old man\nOnce upon a time\n"
        for command in commands {
            let line = command.replacing("runs/", with: folder.path + "/")
                .replacing("SmolLM2-135M-Instruct", with: fixture("chat/model").path(percentEncoded: false))
            var words = try split(line)
            words.removeFirst()
            words += shortened(words, folder)
            let outcome = try RunningTool(words, input: prompts).outcome()
            #expect(outcome.status == 0, "\(command)\n\(outcome.errors)")
        }
    }

    private func shortened(_ words: [String], _ folder: TemporaryFolder) -> [String] {
        var more: [String] = []
        if let file = words.first(where: { $0.hasPrefix("configs/") }), words.first != "compare",
            !words.contains(where: { $0.hasPrefix("training.output_dir=") })
        {
            let name = file.dropFirst("configs/".count).dropLast(".yaml".count)
            more += ["--set", "training.output_dir=\(folder.path)/\(name)"]
        }
        switch words.first {
        case "train":
            more += ["--set", "training.max_steps=2", "--set", "training.per_device_train_batch_size=2"]
            more += ["--set", "data.validation="]
        case "eval" where words.contains("--rouge"): more += ["--limit", "2", "--max-new-tokens", "3"]
        case "compare":
            more += ["--set", "training.max_steps=2", "--set", "data.validation=\(folder.path)/few.jsonl"]
            more += ["--limit", "1", "--max-new-tokens", "3"]
        case "generate": more += ["--max-new-tokens", "3"]
        default: break
        }
        return more
    }

    /// The words of a command as a shell sees them: separated by spaces, with single quotation marks.
    private func split(_ line: String) throws -> [String] {
        let parts = line.split(separator: "'", omittingEmptySubsequences: false)
        try #require(parts.count % 2 == 1, "an odd number of quotation marks: \(line)")
        return parts.enumerated().flatMap { index, part in
            index % 2 == 1 ? [String(part)] : part.split(separator: " ").map(String.init)
        }
    }
}
