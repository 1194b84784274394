import Configuration
import Diagnostics
import Foundation
import JSONText
import Methods
import Testing
import Training

/// All keys that take a number, with numbers that 32 bits don't hold or that are none.
@Suite("A number in a configuration that can't be computed with") struct NumberRangeTests {
    private static let values = ["1e45", "-1e45", "1e-46", ".inf", ".nan"]
    private static let types = ["number", "integer"]

    /// The keys of the schema that take numbers, with the settings beside which they are read.
    private static func keys(_ method: String) throws -> [String] {
        try ConfigurationSchema.askedKeys(ConfigurationSchema.probe(method: method))
            .filter { key in types.contains { key.type.hasPrefix($0) } }.map(\.path)
    }

    private func check(_ changes: [String], key: String, _ training: TinyTraining) throws {
        for value in Self.values {
            let all =
                changes + ["training.max_steps=1", "training.logging_steps=1"].filter { !$0.hasPrefix(key + "=") } + [
                    "\(key)=\(value)"
                ]
            do {
                let run = try training.run(all, .overwrite)
                #expect(run.summary?.finalLoss?.isFinite == true, "\(key)=\(value)")
                let resolved = try training.scratch.text("run/training_config.yaml").lowercased()
                #expect(!resolved.contains(": .inf") && !resolved.contains(": inf") && !resolved.contains(": .nan"))
                // Only the smallest is a number in 32 bits: 0.
                #expect(value == "1e-46", "\(key)=\(value) was taken")
            } catch is Problem {
            } catch is Problems {
            }
        }
    }

    @Test("is told as a problem of its key, whatever the method", arguments: methods.map { $0.name })
    func methodKeys(name: String) throws {
        let training = try TinyTraining()
        let needed =
            [
                "prompt_tuning", "prefix_tuning", "p_tuning", "p_tuning_v2",
            ].contains(name) ? ", num_virtual_tokens: 2" : ""
        for key in try Self.keys(name) where key.hasPrefix("peft.") && !key.contains("MODULE") {
            try check(["peft={method: \(name)\(needed)}"], key: key, training)
        }
    }

    @Test("is told as a problem of its key everywhere else")
    func otherKeys() throws {
        let training = try TinyTraining()
        let changes = ["data.validation=\(training.scratch("validation.jsonl"))"]
        for key in try Self.keys("lora") where !key.hasPrefix("peft.") {
            try check(key == "data.validation_fraction" ? [] : changes, key: key, training)
        }
        for kind in LearningRateSchedule.Kind.allCases {
            let keys = try ConfigurationSchema.askedKeys(
                ConfigurationSchema.probe(method: "full", training: ConfigurationSchema.probe(schedule: kind)))
            for key in keys where key.section == "training.lr_scheduler_kwargs" && Self.types.contains(key.type) {
                try check(
                    changes + ["training.lr_scheduler_type=\(kind.rawValue)"], key: key.path, training)
            }
        }
        for optimizer in optimizers {
            for argument in optimizer.arguments {
                for value in Self.values {
                    let run = try? training.run(
                        changes + [
                            "training.optim=\(optimizer.names[0])", "training.max_steps=1",
                            "training.optim_args=\"\(argument.name)=\(value)\"",
                        ], .overwrite)
                    #expect(run?.summary?.finalLoss.map(\.isFinite) ?? true, "\(optimizer.names[0]) \(argument.name)")
                }
            }
        }
    }
}
