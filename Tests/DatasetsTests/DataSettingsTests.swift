import Configuration
import Datasets
import Foundation
import Testing

@Suite("The data settings") struct DataSettingsTests {
    private func problems(_ yaml: String) -> String {
        do {
            let document = try ConfigDocument.parse(yaml: yaml, file: "run.yaml")
            _ = DataSettings(document.root.section("data"), needsTrainingFiles: true)
            try document.finish()
            return ""
        } catch { return "\(error)" }
    }

    @Test("come from the section's keys")
    func reading() throws {
        let document = try ConfigDocument.parse(
            yaml: """
                data: {train: [a.jsonl, b.csv], validation: c.json, prompt: "{mr}\\n", completion: "{ref}",
                       max_length: 256, max_length_policy: keep_prompt_end, shuffle: false}
                """)
        let settings = DataSettings(document.root.section("data"), needsTrainingFiles: true)
        try document.finish()
        #expect(settings.train == ["a.jsonl", "b.csv"])
        #expect(settings.validation == ["c.json"])
        #expect(
            try settings.templates == .completion(prompt: Template("{mr}\n"), completion: Template("{ref}")))
        #expect(settings.maximumLength == 256)
        #expect(settings.policy == .keepPromptEnd)
        #expect(!settings.shuffles)
        #expect(settings.blockSize == nil)
    }

    @Test(
        "must not contradict each other",
        arguments: [
            ("data: {train: a.txt}", ""),
            ("data: {train: a.txt, block_size: 128}", ""),
            (
                "data:\n  train: a.jsonl\n  text: '{t}'\n  prompt: '{p}'",
                "run.yaml:4:11: error: data.prompt: can't be used together with text, on which all tokens are learned"
            ),
            (
                "data:\n  train: a.jsonl\n  prompt: '{p}'",
                "run.yaml:2:3: error: data.completion: missing: prompt and completion belong together"
            ),
            (
                "data:\n  train: a.jsonl",
                "run.yaml:2:3: error: data.prompt: missing: give prompt and completion, text, or messages"
            ),
            ("data: {text: '{t}'}", "run.yaml:1:7: error: data.train: missing: name the file to train on"),
            (
                "data:\n  train: a.jsonl\n  prompt: '{p}'\n  completion: '{c'\n  block_size: 1\n  max_length_policy: cut",
                """
                run.yaml:4:15: error: data.completion: '{' must be followed by a field's name and '}'; \
                write {{ for a brace
                run.yaml:5:15: error: data.block_size: must be at least 2, got 1
                run.yaml:6:22: error: data.max_length_policy: expected one of drop, keep_prompt_start, \
                keep_prompt_end, error, got 'cut'
                """
            ),
            (
                "data: {train: a.txt, block_size: 8, max_length: 4}",
                "run.yaml:1:49: error: data.max_length: can't be used together with block_size, "
                    + "which is every example's length"
            ),
            (
                "data: {train: a.jsonl, messages: m, text: '{t}', format: alpaca}",
                """
                run.yaml:1:43: error: data.text: can't be used together with messages
                run.yaml:1:58: error: data.format: can't be used together with messages
                """
            ),
            (
                "data: {train: a.jsonl, text: '{t}', loss_on: all}",
                "run.yaml:1:46: error: data.loss_on: goes with messages, which isn't set"
            ),
            (
                "data: {train: a.jsonl, format: alpaca, prompt: '{p}'}",
                "run.yaml:1:48: error: data.prompt: stands beside format: alpaca, which says it"
            ),
            ("data: {train: a.jsonl, messages: m, loss_on: last_assistant, chat_template: chatml}", ""),
            ("data: {train: a.jsonl, messages: m, group_by_prompt: true}", ""),
            ("data: {train: a.jsonl, text: '{t}', group_by_prompt: false}", ""),
            (
                "data: {train: a.jsonl, text: '{t}', group_by_prompt: true}",
                "run.yaml:1:54: error: data.group_by_prompt: goes with prompt and completion, or messages: of a text all is "
                    + "learned, and nothing given"
            ),
            (
                "data: {train: a.jsonl, prompt: '{p}', completion: '{c}', group_by_prompt: 2}",
                "run.yaml:1:75: error: data.group_by_prompt: expected true or false, got 2"
            ),
        ])
    func contradictions(yaml: String, expected: String) { #expect(problems(yaml) == expected) }

    @Test("have templates with the same escapes in any notation, and keep what they mean")
    func escapes() throws {
        func read(_ yaml: String, file: String = "run.yaml", _ overrides: [String] = []) throws -> (
            prompt: String, resolved: String, warnings: [String]
        ) {
            let document = try ConfigDocument.parse(
                yaml: "data:\n  train: a.jsonl\n  completion: '{b}'\n" + yaml, file: file, overrides: overrides)
            let settings = DataSettings(document.root.section("data"), needsTrainingFiles: true)
            try document.finish()
            guard case .completion(let prompt, _) = settings.templates else { return ("", "", []) }
            return (prompt.render(["x"]), document.resolvedYAML(), document.warnings.map { "\($0)" })
        }
        for yaml in [#"  prompt: '{a}\n'"#, #"  prompt: "{a}\n""#, "  prompt: |\n    {a}\n"] {
            let found = try read(yaml)
            #expect(found.prompt == "x\n" && found.warnings == [])
            #expect(found.resolved.contains(#"prompt: "{a}\n""#))
        }
        #expect(try read("", [#"data.prompt={a}\n"#]).prompt == "x\n")
        let doubled = try read(#"  prompt: '{a}\\n'"#)
        #expect(doubled.prompt == #"x\n"#)
        #expect(
            doubled.warnings == [
                #"run.yaml:4:11: warning: data.prompt: has a backslash and n as two characters, because the backslash is "#
                    + #"doubled; \n alone is a line break"#
            ])
        #expect(doubled.resolved.contains(#"prompt: "{a}\\\\n""#))
        // A run from before; a file of that name alone is none.
        let folder = try TemporaryFolder()
        let file = folder.url.path() + "/training_config.yaml"
        #expect(try read(#"  prompt: "{a}\\n""#, file: file).prompt == "x\n")
        _ = try folder.write("metrics.jsonl", "")
        #expect(try read(#"  prompt: "{a}\\n""#, file: folder.url.path() + "/my_training_config.yaml").prompt == "x\n")
        let old = try read(#"  prompt: "{a}\\n""#, file: file)
        #expect(old.prompt == #"x\n"#)
        #expect(
            old.warnings == [
                "\(file):4:11: warning: data.prompt: a backslash and n (or t) are two characters here, "
                    + "as they were when this run was made; in other configurations they are a line break (or a tab)"
            ])
        #expect(old.resolved == doubled.resolved)
    }

    @Test("leave no virtual tokens to parts that can be left out")
    func optionalPlaces() throws {
        let document = try ConfigDocument.parse(yaml: "{train: a.jsonl, prompt: '{?[P2]{a}?}', completion: '{b}'}")
        let settings = DataSettings(document.root, needsTrainingFiles: true)
        #expect(
            #expect(throws: (any Error).self) { try settings.check(.filled(2)) }.map { "\($0)" }
                == "error: data.prompt: has places for virtual tokens in a part that may be left out; they are needed for "
                + "every record")
    }
}
