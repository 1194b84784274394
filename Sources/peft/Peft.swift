import ArgumentParser
import Configuration
import Diagnostics

/// The root command.
struct Peft: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "peft",
        abstract: "Fine-tune language models on CPUs.",
        discussion: """
            A run is described by a YAML file; configs/ has a commented one for each use.

            EXAMPLES:
              peft train --config configs/demo.yaml
              peft eval --config configs/demo.yaml --rouge --compare-base
              peft generate --adapter runs/demo --prompt 'name[The Eagle]'
              peft predict --adapter runs/which-food --data new.jsonl --json
              peft merge --adapter runs/demo --output runs/demo-merged
              peft convert --adapter runs/adalora --rank 16 --output runs/as-lora
              peft quantize --base gpt2 --output gpt2-nf4 --double-quant
              peft inspect runs/demo
              peft doctor runs/demo
              peft verify runs/demo
              peft compare --config configs/demo.yaml --methods lora,full --output runs/compare
              peft plot runs/demo runs/r16 --output curves.svg
              peft schema > peft-schema.json

            EXIT STATUS:
               0  success
              64  wrong usage
              65  data or a configuration can't be used
              66  an input is missing
              70  a defect of peft
              71  the system has no memory, thread or file handle left
              73  an output can't be created
              74  reading or writing failed
             130  interrupted, after saving
            """,
        version: "0.1.0",
        subcommands: [
            TrainCommand.self,
            EvalCommand.self,
            GenerateCommand.self,
            PredictCommand.self,
            MergeCommand.self,
            ConvertCommand.self,
            QuantizeCommand.self,
            InspectCommand.self,
            DoctorCommand.self,
            VerifyCommand.self,
            CompareCommand.self,
            PlotCommand.self,
            SchemaCommand.self,
        ])
}

extension Peft {
    /// The command that the arguments mean.
    ///
    /// - Throws: `Problem` for a command that there isn't, and the parser's own errors, among them the help that was asked
    ///   for.
    static func command(_ arguments: [String]) throws -> any ParsableCommand {
        let names = configuration.subcommands.map { $0.configuration.commandName ?? "" } + ["help"]
        if let name = arguments.first, !name.hasPrefix("-"), !names.contains(name) {
            let near = suggestion(for: name, among: names).map { "did you mean '\($0)'?" }
            throw Problem(
                "unknown command '\(name)'; \(near ?? "'peft --help' lists them")", exitStatus: .usage)
        }
        return try parseAsRoot(arguments)
    }
}
