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

    @Argument(help: "lora, all-linear, bias, full, records, grouped or shared.")
    var workload: Workload

    @Option(help: "A model folder.")
    var model: String

    @Option(help: "For records: a JSONL file of mr and ref.")
    var data: String?

    @Option(help: "Steps that count.")
    var steps = 5

    @Option(help: "Steps before them.")
    var warmup = 1

    @Flag(help: "Say on the standard error what share of the counted steps' time each operation took.")
    var ops = false

    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: "Put a value into the run's configuration, as with peft train; may be repeated.")
    var overrides: [String] = []

    @OptionGroup var size: BatchOptions

    func run() throws {
        size.apply()
        let loadStart = ContinuousClock.now
        let prepared = try PreparedWorkload(
            workload, model: model, data: data, size, overrides: overrides)
        let loading = loadStart.duration(to: .now) / .seconds(1)
        var seconds: [Double] = []
        var (tokens, rows, targets) = (0, 0, 0)
        for step in 0..<warmup + steps {
            if step == warmup { OpTimer.start() }
            // Trainer's times hold the making of batches too.
            let early = ContinuousClock.now
            let batch = try prepared.batch(step)
            let start = workload.readsRecords ? early : ContinuousClock.now
            let result = prepared.runner.step([batch], firstPass: step, learningRate: 2e-4)
            let time = start.duration(to: .now) / .seconds(1)
            // A sequence's last token is no row, but it was learned.
            let records = batch.sequenceCount - Set(batch.parents.compactMap { $0 }).count
            let count = batch.tokenCount + (batch.source == nil ? records : 0)
            emit(["step": .integer(step), "seconds": .number(time), "loss": .number(result.loss)])
            if step >= warmup {
                seconds.append(time)
                tokens += count
                rows += batch.source?.tokens.count ?? batch.rowCount
                targets += batch.labelCount
            }
        }
        let shares = OperationShares(OpTimer.stop(), steps: steps)
        if ops { say(shares.text) }
        emit([
            "side": "peft", "workload": .string(workload.rawValue), "threads": .integer(size.threads),
            "kernel": .string(Processor.matrixKernel), "seconds": .array(seconds.map { .number($0) }),
            "median_seconds": .number(median(seconds)),
            "mean_seconds": .number(seconds.reduce(0, +) / Double(max(1, steps))),
            "load_seconds": .number(loading), "weight_bytes": .integer(prepared.weightBytes),
            "tensor_peak_bytes": .integer(BufferPool.shared.peakBytes),
            "rows": .number(Double(rows) / Double(steps)), "targets": .number(Double(targets) / Double(steps)),
            "tokens_per_second": .number(Double(tokens) / seconds.reduce(0, +)), "operations": shares.json,
        ])
    }
}

/// One line on the standard output at once, for whoever waits for it.
func emit(_ value: JSONValue) {
    print(value.text(.compact))
    fflush(nil)
}
