import ArgumentParser
import Batches
import Glibc
import JSONText
import Tensors
import Training

/// Takes steps of one workload in this process: a line of JSON for each, and one at the end.
struct StepCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "step", abstract: "Time the steps of one workload; JSON lines on the standard output.")

    @Argument(help: "lora, all-linear, full or records.")
    var workload: Workload

    @Option(help: "A model folder.")
    var model: String

    @Option(help: "For records: a JSONL file of mr and ref.")
    var data: String?

    @Option(help: "Steps that count.")
    var steps = 5

    @Option(help: "Steps before them.")
    var warmup = 1

    @OptionGroup var size: BatchOptions

    func run() throws {
        size.apply()
        let prepared = try PreparedWorkload(
            workload, model: model, data: data, batch: size.batch, length: size.length)
        var seconds: [Double] = []
        var tokens = 0
        for step in 0..<warmup + steps {
            let batch = try prepared.batch(step)
            let start = ContinuousClock.now
            let result = prepared.runner.step([batch], firstPass: step, learningRate: 2e-4)
            let time = start.duration(to: .now) / .seconds(1)
            // A sequence's last token is no row, but it was learned.
            let count = batch.rowCount + batch.sequenceCount
            emit(["step": .integer(step), "seconds": .number(time), "loss": .number(result.loss)])
            if step >= warmup {
                seconds.append(time)
                tokens += count
            }
        }
        emit([
            "side": "peft", "workload": .string(workload.rawValue), "threads": .integer(size.threads),
            "kernel": .string(Processor.matrixKernel), "seconds": .array(seconds.map { .number($0) }),
            "median_seconds": .number(median(seconds)),
            "tokens_per_second": .number(Double(tokens) / seconds.reduce(0, +)),
        ])
    }
}

/// One line on the standard output at once, for whoever waits for it.
func emit(_ value: JSONValue) {
    print(value.text(.compact))
    fflush(nil)
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
