import ArgumentParser
import JSONText
import Tensors
import Training

/// Takes steps of a LoRA workload and of a variant of it, or its bare matrix products, in turn, in one process: a machine
/// whose speed changes from second to second does so for both.
struct PairCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pair", abstract: "Time the LoRA step's steps and those of a variant in turn, as JSON.")

    @Option(help: "A model folder.")
    var model: String

    @Option(help: "The variant's model folder; by default the same.")
    var otherModel: String?

    @Option(help: "The variant's sequences in a batch; by default as many.")
    var otherBatch: Int?

    @Option(help: "The variant's tokens of each sequence; by default as many.")
    var otherLength: Int?

    @Option(
        name: .customLong("other-set"), parsing: .unconditionalSingleValue,
        help: "Put a value into the variant's configuration; may be repeated.")
    var otherOverrides: [String] = []

    @Flag(help: "Instead of a variant the step's bare matrix products, each by OpenBLAS's fastest way.")
    var ceiling = false

    @Option(help: "Steps that count, of each.")
    var steps = 6

    @OptionGroup var size: BatchOptions

    func validate() throws {
        let isVariant = otherModel != nil || otherBatch != nil || otherLength != nil || !otherOverrides.isEmpty
        if ceiling && isVariant { throw ValidationError("--ceiling takes the place of a variant: leave --other-… out") }
    }

    func run() throws {
        size.apply()
        let plain = try PreparedWorkload(.lora, model: model, data: nil, size)
        let variant = try ceiling ? bareProducts() : step(of: preparedVariant())
        var seconds: (plain: [Double], variant: [Double]) = ([], [])
        for step in 0...steps {
            let first = try time { try self.step(of: plain)(step) }
            let second = try time { try variant(step) }
            if step == 0 { continue }
            seconds.plain.append(first)
            seconds.variant.append(second)
        }
        // The step after the variant's counts too, so that a slow second is on both sides.
        let last = try time { try self.step(of: plain)(steps + 1) }
        let neighbours = zip(seconds.plain, seconds.plain.dropFirst() + [last]).map { ($0 + $1) / 2 }
        let ratios = zip(seconds.variant, neighbours).map { $0 / $1 }
        emit([
            "side": "peft", "measurement": "pair", "kernel": .string(Processor.matrixKernel),
            "threads": .integer(size.threads), "seconds": .array(seconds.plain.map { .number($0) }),
            "other_seconds": .array(seconds.variant.map { .number($0) }), "ratio": .number(median(ratios)),
        ])
    }

    private func preparedVariant() throws -> PreparedWorkload {
        var other = size
        other.batch = otherBatch ?? size.batch
        other.length = otherLength ?? size.length
        return try PreparedWorkload(
            .lora, model: otherModel ?? model, data: nil, other, overrides: otherOverrides)
    }

    private func step(of workload: PreparedWorkload) -> (Int) throws -> Void {
        { step in
            let batch = try workload.batch(step)
            _ = workload.runner.step([batch], firstPass: step, learningRate: 2e-4)
        }
    }

    /// All products of a step, one after the other.
    private func bareProducts() throws -> (Int) throws -> Void {
        let products = try StepProducts(model: model, size)
        let ways = (products.forward + products.innerGradients).map { ($0.count, $0.product.fastest().way) }
        return { _ in
            for (count, way) in ways { for _ in 0..<count { way() } }
        }
    }

    private func time(_ body: () throws -> Void) rethrows -> Double {
        let start = ContinuousClock.now
        try body()
        return start.duration(to: .now) / .seconds(1)
    }
}
