import ArgumentParser
import Configuration
import Datasets
import Diagnostics
import FoundationEssentials
import JSONText
import Methods
import Tensors
import Tokenizers
import Training

/// Times the tokenizer on one thread and the reading of a data set on all, each from nothing every time.
struct TextCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "text", abstract: "Time the tokenizer and the reading of data, as JSON.")

    @Option(help: "A model folder with a tokenizer.")
    var model: String

    @Option(help: "A text to tokenize.")
    var text: String

    @Option(help: "A JSONL file of mr and ref.")
    var data: String

    @Option(help: "How often each is timed, after once without.")
    var rounds = 5

    @Option(help: "Threads; by default one for each processor.")
    var threads = WorkerPool.shared.threadCount

    /// What is tokenized at a time, in bytes; `reference_text.py` cuts at the same lines.
    private static let chunk = 4096

    func run() throws {
        WorkerPool.shared.threadCount = threads
        let chunks = Self.chunks(try String(contentsOfFile: text, encoding: .utf8))
        let byteCount = chunks.reduce(0) { $0 + $1.utf8.count }
        let own = try encode(chunks, model)
        let pattern = try PatternTokenizer.llama3.inFolder(of: model) { try encode(chunks, $0) }
        let digits = try PatternTokenizer.digits.inFolder(of: model) { try encode(chunks, $0) }
        var reading: [Double] = []
        var counts = (records: 0, tokens: 0)
        for _ in 0...rounds {
            // Dropping what is too long needs the lengths, so that all is read and tokenized at once.
            let run = try RunConfiguration(
                ConfigDocument.parse(
                    yaml: Workload.records.configuration(model: model, data: data, batch: 8, rank: 8),
                    overrides: ["data.max_length=1024", "data.max_length_policy=drop"]), warn: { _ in })
            let tokenizer = try loadTokenizer(folder: model)
            let start = ContinuousClock.now
            let dataset = try run.data.dataset(
                paths: run.data.train, codec: TextCodec(tokenizer, end: EndOfText(tokenizer, others: [])),
                lengthLimit: 1024)
            reading.append(start.duration(to: .now) / .seconds(1))
            counts = (dataset.counts.records, dataset.counts.tokens)
        }
        emit([
            "side": "peft", "kernel": .string(Processor.matrixKernel), "text_bytes": .integer(byteCount),
            "tokens": .integer(own.tokens), "tokenizer_load_seconds": .number(own.load),
            "tokenizer_bytes_per_second": .number(Double(byteCount) / own.seconds),
            "pattern_tokens": .integer(pattern.tokens),
            "pattern_bytes_per_second": .number(Double(byteCount) / pattern.seconds),
            "digits_tokens": .integer(digits.tokens),
            "digits_bytes_per_second": .number(Double(byteCount) / digits.seconds),
            "records": .integer(counts.records), "record_tokens": .integer(counts.tokens),
            "records_per_second": .number(Double(counts.records) / median(Array(reading.dropFirst()))),
        ])
    }

    private func encode(
        _ chunks: [String], _ folder: String
    ) throws -> (tokens: Int, seconds: Double, load: Double) {
        var tokens = 0
        var encoding: [Double] = []
        var loading: [Double] = []
        for _ in 0...rounds {
            let before = ContinuousClock.now
            let tokenizer = try loadTokenizer(folder: folder)
            let start = ContinuousClock.now
            tokens = chunks.reduce(0) { $0 + tokenizer.encode($1).count }
            encoding.append(start.duration(to: .now) / .seconds(1))
            loading.append(before.duration(to: start) / .seconds(1))
        }
        return (tokens, median(Array(encoding.dropFirst())), median(Array(loading.dropFirst())))
    }

    /// Whole lines, of `chunk` bytes or more together but for the last.
    private static func chunks(_ text: String) -> [String] {
        var chunks: [String] = []
        var current: [UInt8] = []
        for byte in text.utf8 {
            current.append(byte)
            if byte == 0x0A, current.count >= chunk {
                chunks.append(String(decoding: current, as: UTF8.self))
                current = []
            }
        }
        return current.isEmpty ? chunks : chunks + [String(decoding: current, as: UTF8.self)]
    }
}
