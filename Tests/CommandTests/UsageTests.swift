import Foundation
import Testing

@Suite("Usage")
struct UsageTests {
    static let commands = [
        "train", "eval", "generate", "merge", "inspect", "doctor", "compare", "convert", "quantize", "schema", "verify",
        "plot",
    ]

    @Test("the tool's help goes to stdout and names every command")
    func helpOfTheTool() throws {
        let outcome = try peft("--help")
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        for command in Self.commands { #expect(outcome.output.contains("\n  \(command) ")) }
    }

    @Test("each command's help has an example of it", arguments: commands + ["predict"])
    func helpOfACommand(command: String) throws {
        let outcome = try peft(command, "--help")
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        #expect(outcome.output.contains("EXAMPLES:\n  peft \(command) "))
    }

    @Test("'help' takes a command's name", arguments: commands + ["predict"])
    func helpByName(command: String) throws {
        let outcome = try peft("help", command)
        #expect(outcome.status == 0)
        #expect(try outcome.output == peft(command, "--help").output)
    }

    @Test("the version is a line of its own")
    func version() throws {
        let outcome = try peft("--version")
        #expect(outcome.status == 0)
        #expect(outcome.output == "0.1.0\n")
    }

    @Test("an unknown command is wrong usage")
    func unknownCommand() throws {
        let outcome = try peft("inspekt")
        #expect(outcome.status == 64)
        #expect(outcome.output == "")
        #expect(outcome.errors == "error: unknown command 'inspekt'; did you mean 'inspect'?\n")
        let other = try peft("xyzzy", "--config", "a.yaml")
        #expect(other.status == 64)
        #expect(other.errors == "error: unknown command 'xyzzy'; 'peft --help' lists them\n")
    }

    @Test("texts may begin with a dash")
    func dashes() throws {
        let small = try SmallModel()
        let generated = try peft(
            "generate", "--base", small.model, "--prompt", "- one", "--max-new-tokens", "1", "--json")
        #expect(generated.status == 0)
        #expect(generated.output.hasPrefix(#"{"prompt": "- one","#))
        let data = try small.folder.write(#"{"q": "a", "a": "b"}"# + "\n", to: "d.jsonl").path(percentEncoded: false)
        for arguments in [
            ["--prompt", "- {q}", "--completion", "-- {a}"], ["--text", "-{q}"],
            ["--prompt", "--{q}", "--completion", "-{a}"],
        ] {
            let outcome = try RunningTool(["eval", "--base", small.model, "--data", data] + arguments).outcome()
            #expect(outcome.status == 0)
            #expect(outcome.errors == "")
        }
    }

    @Test("a missing argument is wrong usage")
    func missingArgument() throws {
        let outcome = try peft("inspect")
        #expect(outcome.status == 64)
        #expect(outcome.output == "")
        #expect(outcome.errors.hasPrefix("Error: Missing expected argument '<path>'\n"))
    }
}
