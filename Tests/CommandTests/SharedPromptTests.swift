import Foundation
import JSONText
import TestSupport
import Testing

@Suite("peft train on records with the same prompts") struct SharedPromptTests {
    private let run: TinyRun

    init() throws {
        run = try TinyRun()
        let records = (0..<24).map { #"{"q": "how near is \#($0 % 6)", "a": "\#($0 % 5)\#($0 % 3)"}"# }
        try run.folder.write(records.joined(separator: "\n") + "\n", to: "data.jsonl")
    }

    private func train(_ settings: String...) throws -> Outcome {
        try RunningTool(run.arguments + settings.flatMap { ["--set", $0] }).outcome()
    }

    @Test("says how they are grouped, that they are shared, and what that saved") func log() throws {
        let outcome = try train("data.group_by_prompt=true")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let lines = outcome.errors.split(separator: "\n")
        #expect(
            lines.contains(
                "grouped by prompt: 6 prompts, each of them whole in a batch of 4 where it fits; the prompts are shuffled, and "
                    + "the records of each"))
        #expect(lines.contains("shared prompts: what records of a batch begin with in common is computed once"))
        let last = try #require(lines.first { $0.hasPrefix("finished 6 steps: ") })
        // Four records of 16 rows, of which 13 are the same.
        #expect(last.hasSuffix(", shared prompts saved 60.9 % of the tokens"), "\(last)")
        let off = try train(
            "data.group_by_prompt=true", "training.share_prompts=off", "training.output_dir=\(run.folder.path)/off")
        #expect(off.status == 0 && !off.errors.contains("shared prompts"), "\(off.errors)")
    }

    @Test("names what share_prompts may be, and what group_by_prompt goes with") func errors() throws {
        let outcome = try train("training.share_prompts=always")
        #expect(outcome.status == 65)
        #expect(
            outcome.errors
                == "--set training.share_prompts=always: error: training.share_prompts: expected one of auto, on, off, got "
                + "'always'\n")
        let classified = try train("task=sequence_classification", "data.group_by_prompt=true")
        #expect(classified.status == 65)
        #expect(
            classified.errors.contains(
                "--set data.group_by_prompt=true: error: data.group_by_prompt: has no place in sequence_classification, "
                    + "whose records have no prompts\n"), "\(classified.errors)")
    }
}
