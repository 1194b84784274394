import Checkpoints
import Glibc
import JSONText

/// What one process measured.
struct Sample {
    var id: String
    /// Of how many times that everything was measured; nil in files of before they were counted.
    var round: Int?
    /// OpenBLAS's kernels on our side; nil on the reference's.
    var kernel: String?
    var peakBytes: Int
    var secondsToFirstLine: Double
    /// What share of the processors' time others took; nil in files of before it was looked at.
    var otherWork: Double?
    /// What the process printed last.
    var summary: JSONNode

    /// The value of `key`, a path through the summary.
    func number(_ key: String) -> Double? {
        switch key {
        case "peak_memory_bytes": return Double(peakBytes)
        case "seconds_to_first_line": return secondsToFirstLine
        default:
            var node: JSONNode? = summary
            for part in key.split(separator: ".") { node = node?.member(String(part)) }
            return try? node?.asNumber()
        }
    }
}

/// What a ratio is made of: a measurement's figure on one side.
struct Figure {
    var id: String
    /// The figure's path in the summary.
    var key: String
    /// OpenBLAS's kernels on our side; nil for the reference. What was measured under one setting only stands for both.
    var kernel: String? = nil
}

/// All that a run measured, as its JSON file keeps it.
struct Results {
    var processor: String
    /// The folder's name of the model that was measured.
    var model: String
    var threads: Int
    var batch: Int
    var length: Int
    /// The tokens of a decoder's sequences beside an encoder's; nil where there is none.
    var targets: Int?
    var samples: [Sample] = []

    /// Whether a model of that name has everything measured that there is, and GPT-2's figures to reach.
    static func isGPT2(_ model: String) -> Bool { model.hasPrefix("gpt2") }

    /// Whether a model of that name has an encoder and a decoder.
    static func hasEncoder(_ model: String) -> Bool { model.contains("t5") }

    /// OpenBLAS's kernels that were measured, the environment's own choice first.
    var kernels: [String] {
        var found: [String] = []
        for kernel in samples.compactMap(\.kernel) where !found.contains(kernel) { found.append(kernel) }
        return found
    }

    func samples(_ id: String, _ kernel: String?) -> [Sample] { samples.filter { $0.id == id && $0.kernel == kernel } }

    /// The median over the rounds; for a measurement that was made under one setting of kernels only, of that.
    func ours(_ id: String, _ key: String, _ kernel: String) -> Double? {
        medianValue(Figure(id: id, key: key, kernel: kernel))
    }

    func reference(_ id: String, _ key: String) -> Double? { medianValue(Figure(id: id, key: key, kernel: nil)) }

    private func medianValue(_ figure: Figure) -> Double? {
        let values = values(figure).map(\.value)
        return values.isEmpty ? nil : median(values)
    }

    /// One figure over another, the median over the rounds that measured both: the machine's own speed changes from
    /// minute to minute, so what is divided has to be of the same one. Without such rounds, of their medians.
    func ratio(_ above: Figure, _ below: Figure) -> Double? {
        let (above, below) = (values(above), values(below))
        let shared = above.flatMap { a in
            below.filter { $0.round == a.round && a.round != nil }.map { a.value / $0.value }
        }
        if !shared.isEmpty { return median(shared) }
        guard !above.isEmpty, !below.isEmpty else { return nil }
        return median(above.map(\.value)) / median(below.map(\.value))
    }

    private func values(_ figure: Figure) -> [(round: Int?, value: Double)] {
        func values(_ kernel: String?) -> [(round: Int?, value: Double)] {
            samples(figure.id, kernel).compactMap { sample in
                sample.number(figure.key).map { (sample.round, $0) }
            }
        }
        let exact = values(figure.kernel)
        guard exact.isEmpty, figure.kernel != nil, let first = kernels.first else { return exact }
        return values(first)
    }

    /// More of the processors' time than a quiet machine's own services take.
    static let busy = 0.04

    /// The sample beside which others worked most.
    var busiest: Sample? { samples.max { ($0.otherWork ?? 0) < ($1.otherWork ?? 0) } }

    var json: JSONValue {
        [
            "processor": .string(processor), "model": .string(model), "threads": .integer(threads),
            "batch": .integer(batch),
            "length": .integer(length), "targets": targets.map { .integer($0) } ?? .null,
            "samples": .array(
                samples.map {
                    [
                        "id": .string($0.id), "round": $0.round.map { .integer($0) } ?? .null,
                        "kernel": $0.kernel.map { .string($0) } ?? .null,
                        "peak_memory_bytes": .integer($0.peakBytes),
                        "seconds_to_first_line": .number($0.secondsToFirstLine),
                        "other_work": $0.otherWork.map { .number($0) } ?? .null, "summary": $0.summary.plain,
                    ]
                }),
        ]
    }
}

extension Results {
    /// Reads a file that `json` was written to.
    init(path: String) throws {
        let node = try JSONNode.load(path: path)
        processor = try node.string("processor")
        model = try node.optionalString("model") ?? "gpt2-124m"
        threads = try node.integer("threads")
        batch = try node.integer("batch")
        length = try node.integer("length")
        targets = try node.optionalInteger("targets")
        samples = try node.array("samples").map {
            Sample(
                id: try $0.string("id"), round: try $0.optionalInteger("round"),
                kernel: try $0.optionalString("kernel"),
                peakBytes: try $0.integer("peak_memory_bytes"),
                secondsToFirstLine: try $0.optionalNumber("seconds_to_first_line") ?? .nan,
                otherWork: try $0.optionalNumber("other_work"),
                summary: try $0.required("summary"))
        }
    }
}

/// The processor as the system names it, with the numbers of its generation, which the name of many doesn't tell.
func processorName() -> String {
    let (name, family, model) = (processorField("model name"), processorField("cpu family"), processorField("model"))
    guard let name else { return "an unknown processor" }
    return family.flatMap { family in model.map { "\(name) (family \(family), model \($0))" } } ?? name
}

private func processorField(_ key: String) -> String? {
    guard let file = fopen("/proc/cpuinfo", "r") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 4096)
    while fgets(&line, Int32(line.count), file) != nil {
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let parts = text.split(separator: ":", maxSplits: 1).map { $0.split(whereSeparator: \.isWhitespace) }
        if parts.count == 2, parts[0].joined(separator: " ") == key { return parts[1].joined(separator: " ") }
    }
    return nil
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

func fixed(_ value: Double?, _ digits: Int) -> String {
    guard let value, value.isFinite else { return "" }
    let scale = pow(10, Double(digits))
    let whole = Int((value.magnitude * scale).rounded())
    let sign = value < 0 && whole != 0 ? "-" : ""
    guard digits > 0 else { return sign + "\(whole)" }
    let fraction = String(whole % Int(scale))
    return sign + "\(whole / Int(scale))." + String(repeating: "0", count: digits - fraction.count) + fraction
}
