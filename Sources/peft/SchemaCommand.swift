import ArgumentParser
import JSONText
import Training

/// Prints the schema of run configurations.
struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Print a JSON schema of the configuration, for editors.",
        discussion: """
            The schema (draft 2020-12) has every key with its type, its default and what it means. Editors that speak YAML \
            take it from a file that a configuration names in its first line, and complete and check keys by it.

            EXAMPLES:
              peft schema > peft-schema.json
              # yaml-language-server: $schema=peft-schema.json      as first line of run.yaml
            """)

    func run() throws { Console.line(try ConfigurationSchema.json().text(.indented)) }
}
