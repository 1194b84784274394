import ArgumentParser
import Batches
import Checkpoints
import Configuration
import Datasets
import Diagnostics
import JSONText
import Layers
import Methods
import Models
import Tensors
import Training

/// What a step trains, and on what.
enum Workload: String, CaseIterable, ExpressibleByArgument, Sendable {
    /// LoRA of rank 8 on queries and values, random tokens.
    case lora
    /// The same on every linear layer.
    case allLinear = "all-linear"
    /// The biases alone, random tokens.
    case bias
    /// All weights, random tokens.
    case full
    /// LoRA of rank 8 on queries and values, records of prompt and completion in their order, 8 at a time.
    case records
    /// The same, records with the same prompt in one batch; each is computed by itself.
    case grouped
    /// The same batches, with what their records begin with in common computed once.
    case shared

    /// Whether it trains on records.
    var readsRecords: Bool { [.records, .grouped, .shared].contains(self) }

    /// The entry of `CeilingCommand` whose products are this workload's.
    var ceiling: String {
        switch self {
        case .lora, .allLinear, .records, .grouped, .shared: "adapters"
        case .bias: "biases"
        case .full: "full"
        }
    }

    /// The arguments for `reference.py`.
    var referenceArguments: [String] {
        switch self {
        case .allLinear: ["--mode", "lora", "--target-modules", "all-linear"]
        default: ["--mode", rawValue]
        }
    }

    /// A run's configuration; only what `readsRecords` reads its data.
    func configuration(model: String, data: String?, batch: Int, rank: Int) -> String {
        let lora = "method: lora, r: \(rank), lora_alpha: \(2 * rank)"
        let method =
            switch self {
            case .full, .bias: "{method: full}"
            case .allLinear: "{\(lora), target_modules: all-linear}"
            case .lora, .records, .grouped, .shared: "{\(lora)}"
            }
        return """
            model: {path: "\(model)"}
            data: {train: "\(data ?? "none.jsonl")", prompt: "{mr}\\n", completion: "{ref}", shuffle: false}
            peft: \(method)
            training: {output_dir: none, per_device_train_batch_size: \(batch), learning_rate: 2.0e-4, weight_decay: 0.01}
            """
    }
}

/// A model with its method, ready to take steps.
struct PreparedWorkload {
    let runner: StepRunner
    /// The bytes of the files that the weights are mapped from.
    let weightBytes: Int
    /// The batch of each step.
    let batch: (Int) throws -> TokenBatch

    init(
        _ workload: Workload, model: String, data: String?, _ options: BatchOptions, overrides: [String] = []
    ) throws {
        let (size, length) = (options.batch, options.length)
        let text = workload.configuration(model: model, data: data, batch: size, rank: options.rank)
        let run = try RunConfiguration(
            ConfigDocument.parse(yaml: text, overrides: overrides), warn: { _ in })
        let base = try BaseModel.load(
            model, randomSeed: run.start == .random ? 1 : nil, labels: nil, headSeed: 0, quantization: run.quantization,
            warn: { _ in })
        if run.training.roundsProducts { base.model.roundProducts() }
        weightBytes = base.weights?.shards.reduce(0) { $0 + $1.byteCount } ?? 0
        let installation = try run.method.install(
            into: base.model, InstallationContext(seed: 1, basePath: model, isTraining: true))
        let trainable =
            workload == .bias ? Self.onlyBiases(of: installation.trainable) : installation.trainable
        let optimizer = try run.optimizer(of: trainable, in: base.model)
        optimizer.state.allocate()
        runner = StepRunner(
            model: base.model, installation: installation, optimizer: optimizer, seed: 1,
            isCheckpointing: run.training.isCheckpointing)
        if workload.readsRecords {
            let dataset = try run.data.dataset(
                paths: run.data.train, codec: base.codec(), lengthLimit: base.model.maximumLength)
            let isGrouped = workload != .records
            let order: any ExampleOrder =
                try isGrouped
                ? PromptOrder(dataset, batchSize: size, seed: 1) : FileOrder(count: dataset.count)
            let batches = BatchSequence(dataset: dataset, EqualBatches(order, size: size))
            let model = base.model
            batch = {
                model.batch(
                    try batches.examples(epoch: $0 / batches.count, index: $0 % batches.count),
                    sharingPrompts: workload == .shared)
            }
        } else {
            let vocabulary = Int32(base.model.vocabularySize)
            let model = base.model
            batch = {
                model.hasEncoder
                    ? model.batch(
                        Self.randomPairs(
                            step: $0, options, opening: model.opening([]), vocabulary: vocabulary))
                    : Self.randomBatch(step: $0, sequences: size, length: length, vocabulary: vocabulary)
            }
        }
    }

    /// Leaves the biases of linear layers and norms as the only parameters that train.
    private static func onlyBiases(of parameters: [TrainableParameter]) -> [TrainableParameter] {
        for parameter in parameters where !parameter.name.hasSuffix(".bias") { parameter.tensor.untrack() }
        return parameters.filter { $0.name.hasSuffix(".bias") }
    }

    /// Sources, and what a decoder learns to say of each.
    private static func randomPairs(
        step: Int, _ options: BatchOptions, opening: [Int32], vocabulary: Int32
    ) -> [Example] {
        var generator = RandomGenerator(seed: UInt64(step), stream: "tokens")
        func tokens(_ count: Int) -> [Int32] {
            (0..<count).map { _ in Int32.random(in: 0..<vocabulary, using: &generator) }
        }
        return (0..<options.batch).map { _ in
            Example(
                source: tokens(options.length), tokens: opening + tokens(options.targets),
                targets: [1..<1 + options.targets])
        }
    }

    /// Every token but the first of a sequence is to be predicted; the last one predicts nothing and is no row.
    private static func randomBatch(step: Int, sequences: Int, length: Int, vocabulary: Int32) -> TokenBatch {
        var generator = RandomGenerator(seed: UInt64(step), stream: "tokens")
        let texts = (0..<sequences).map { _ in
            (0..<length).map { _ in Int32.random(in: 0..<vocabulary, using: &generator) }
        }
        var batch = TokenBatch(sequences: texts.map { Array($0.dropLast()) })
        batch.labels = texts.flatMap { $0.dropFirst() }
        return batch
    }
}
