import ArgumentParser
import Configuration
import JSONText
import Layers
import Models
import Tensors
import Training

/// Times prompts and new tokens apart, beside a plain reading of as much memory as the weights take.
struct DecodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode", abstract: "Time prefill and greedy decoding of random prompts, as JSON.")

    @Option(help: "A model folder.")
    var model: String

    @Option(help: "Sequences side by side.")
    var batch = 1

    @Option(help: "Beams of each prompt; 1 takes the most likely token.")
    var beams = 1

    @Option(help: "Tokens of each prompt.")
    var promptLength = 64

    @Option(help: "Tokens that each prompt gets.")
    var newTokens = 32

    @Option(help: "How often all is timed, after once without.")
    var rounds = 3

    @Option(help: "Threads; by default one for each processor.")
    var threads = WorkerPool.shared.threadCount

    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: "Put a value into the section model of a run's configuration; may be repeated.")
    var overrides: [String] = []

    @Flag(help: "Say on the standard error what share of the time each operation took.")
    var ops = false

    @Option(help: "A file for the generated ids, a JSON list a prompt.")
    var output: String?

    func run() throws {
        WorkerPool.shared.threadCount = threads
        let document = try ConfigDocument.parse(yaml: "model: {path: model}", overrides: overrides)
        let base = try BaseModel.load(
            model, randomSeed: nil, labels: nil, headSeed: 0, quantization: QuantizationSettings(of: document),
            warn: { _ in })
        let prompts = Self.prompts(count: batch, length: promptLength, vocabulary: base.model.vocabularySize)
        func generator(newTokens: Int) -> Generator {
            var settings = GenerationSettings(maximumNewTokens: newTokens, sampling: nil)
            if beams > 1 {
                settings.beams = BeamSettings(count: beams, lengthPenalty: 1, earlyStopping: .no, returnedCount: 1)
            }
            return Generator(
                model: base.model, endIDs: [], settings: settings, batchSize: batch * beams, sharesBeginnings: true)
        }
        let weightBytes = base.model.bytesReadPerToken
        let memory = MemoryRate(bytes: weightBytes)
        var prefill: [Double] = []
        var steps: [Double] = []
        var rates: [Double] = []
        var shares: [Double] = []
        var texts: [Generation] = []
        var operations = OperationShares([], steps: 1)
        for round in 0...rounds {
            let rate = memory.bytesPerSecond()
            let start = ContinuousClock.now
            _ = try generator(newTokens: 1).generate(prompts, firstIndex: 0)
            let first = ContinuousClock.now
            OpTimer.start()
            texts = try generator(newTokens: newTokens).generate(prompts, firstIndex: 0)
            operations = OperationShares(OpTimer.stop(), steps: newTokens)
            let end = ContinuousClock.now
            if round == 0 { continue }
            // The second run does the first's work again, before what it adds.
            let prompt = start.duration(to: first) / .seconds(1)
            prefill.append(prompt)
            let step = (first.duration(to: end) / .seconds(1) - prompt) / Double(max(1, newTokens - 1))
            let fastest = max(rate, memory.bytesPerSecond())
            steps.append(step)
            rates.append(fastest)
            shares.append(Double(weightBytes) / step / fastest)
        }
        if ops { say(operations.text) }
        if let output { try writeTokens(texts, to: output) }
        let step = median(steps)
        emit([
            "side": "peft", "measurement": "decode", "threads": .integer(threads), "batch": .integer(batch),
            "beams": .integer(beams), "kernel": .string(Processor.matrixKernel),
            "prompt_length": .integer(promptLength),
            "new_tokens": .integer(newTokens), "prefill_seconds": .number(median(prefill)),
            "prefill_tokens_per_second": .number(Double(batch * promptLength) / median(prefill)),
            "seconds_per_token": .number(step), "tokens_per_second": .number(Double(batch) / step),
            "weight_bytes": .integer(weightBytes), "weight_bytes_per_second": .number(Double(weightBytes) / step),
            "memory_bytes_per_second": .number(median(rates)), "bandwidth_share": .number(median(shares)),
            "operations": operations.json,
        ])
    }

    /// The prompts that `reference_generate.py` makes.
    private static func prompts(count: Int, length: Int, vocabulary: Int) -> [[Int32]] {
        (0..<count).map { sequence in
            (0..<length).map { Int32((7919 * (sequence * length + $0) + 104729) % (vocabulary - 1)) }
        }
    }
}

extension StoredTensor {
    fileprivate var bytesRead: Int {
        switch self {
        case is HalfTensor: 2 * count
        case let quantized as QuantizedTensor: quantized.byteCount
        default: 4 * count
        }
    }
}

extension AdaptableModel {
    /// The bytes of weights that each pass needs: what every linear layer multiplies by, the output layer included.
    var bytesReadPerToken: Int {
        modules.reduce(0) { sum, module in
            if case .linear(let layer) = module.kind {
                sum + layer.weight.value.bytesRead
            } else {
                sum
            }
        }
    }
}
