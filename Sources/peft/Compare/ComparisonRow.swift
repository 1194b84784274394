import Files
import JSONText

/// One row of a comparison: a method's run, or the base model as it is.
struct ComparisonRow {
    /// A point of a run's course.
    struct Point {
        let step: Int
        let loss: Double
    }

    /// A run with one learning rate.
    struct Trial {
        let rate: Double
        let validationLoss: Double?
        /// Why it failed.
        let error: String?
    }

    var name: String
    /// The time that the run was given, where all share a budget.
    var budgetSeconds: Double?
    /// nil for the base model.
    var method: String?
    var learningRate: Double?
    var trainedParameters: Int?
    var allParameters: Int?
    var byteCount: Int?
    var secondsPerStep: Double?
    var peakMemoryBytes: Int?
    var validationLoss: Double?
    /// What `peft eval --json` says.
    var scores: JSONNode?
    var trials: [Trial] = []
    var training: [Point] = []
    var validation: [Point] = []
    var outputFolder: String?
    /// Why there are no results.
    var error: String?

    init(name: String) { self.name = name }

    var share: Double? {
        guard let trainedParameters, let allParameters, allParameters > 0 else { return nil }
        return Double(trainedParameters) / Double(allParameters)
    }

    /// The measure that the table shows beside the loss: its name and value.
    var score: (name: String, value: Double)? {
        guard let scores else { return nil }
        if let value = try? scores.optional("rougeL")?.number("fmeasure") { return ("ROUGE-L", value) }
        if let value = try? scores.optionalNumber("accuracy") { return ("accuracy", value) }
        if let value = try? scores.optionalNumber("pearson") { return ("Pearson", value) }
        if let value = try? scores.optionalNumber("perplexity") { return ("perplexity", value) }
        return nil
    }

    var json: JSONValue {
        func number(_ value: Double?) -> JSONValue { value.map(JSONValue.number) ?? nil }
        func integer(_ value: Int?) -> JSONValue { value.map(JSONValue.integer) ?? nil }
        func text(_ value: String?) -> JSONValue { value.map(JSONValue.string) ?? nil }
        return [
            "name": .string(name), "method": text(method), "learning_rate": number(learningRate),
            "trainable_parameters": integer(trainedParameters), "total_parameters": integer(allParameters),
            "share": number(share), "bytes": integer(byteCount), "seconds_per_step": number(secondsPerStep),
            "peak_memory_bytes": integer(peakMemoryBytes), "eval_loss": number(validationLoss),
            "scores": scores?.plain ?? nil,
            "tried": .array(
                trials.map {
                    [
                        "learning_rate": .number($0.rate), "eval_loss": number($0.validationLoss),
                        "error": text($0.error),
                    ]
                }),
            "curve": .array(training.map { ["step": .integer($0.step), "loss": .number($0.loss)] }),
            "eval_curve": .array(validation.map { ["step": .integer($0.step), "loss": .number($0.loss)] }),
            "budget_seconds": number(budgetSeconds), "output_dir": text(outputFolder), "error": text(error),
        ]
    }

    /// Takes over what a run's folder tells: the course of its losses, time and memory, the size of the result.
    mutating func readRun(_ folder: String) throws {
        let path = FileSystem.join(folder, "metrics.jsonl")
        var seconds = 0.0
        var tokens = 0
        var steps = 0
        for (index, line) in try FileSystem.text(of: path).split(separator: "\n").enumerated() {
            let node = try Array(line.utf8).withUnsafeBytes { try JSONNode.parse($0, file: path, line: index + 1) }
            let step = try node.integer("step")
            if let loss = try node.optionalNumber("eval_loss") {
                validation.append(Point(step: step, loss: loss))
                validationLoss = loss
                continue
            }
            training.append(Point(step: step, loss: try node.number("loss")))
            // Evaluations and saving are no part of the rate.
            let rate = try node.number("tokens_per_second")
            let total = try node.integer("tokens")
            if rate > 0 { seconds += Double(total - tokens) / rate }
            (tokens, steps) = (total, step)
            peakMemoryBytes = try node.integer("peak_memory_bytes")
        }
        if steps > 0 { secondsPerStep = seconds / Double(steps) }
        let names = ["adapter_model.safetensors", "adapter.safetensors", "model.safetensors"]
        if let file = names.map({ FileSystem.join(folder, $0) }).first(where: FileSystem.isFile) {
            byteCount = try FileBytes(path: file).bytes.count
        }
        outputFolder = folder
    }
}
