import Checkpoints
import Glibc
import JSONText

/// What one process measured.
struct Sample {
    var id: String
    /// OpenBLAS's kernels on our side; nil on the reference's.
    var kernel: String?
    var peakBytes: Int
    var secondsToFirstLine: Double
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

/// All that a run measured, as its JSON file keeps it.
struct Results {
    var processor: String
    var threads: Int
    var batch: Int
    var length: Int
    var samples: [Sample] = []

    /// OpenBLAS's kernels that were measured, the environment's own choice first.
    var kernels: [String] {
        var found: [String] = []
        for kernel in samples.compactMap(\.kernel) where !found.contains(kernel) { found.append(kernel) }
        return found
    }

    func samples(_ id: String, _ kernel: String?) -> [Sample] { samples.filter { $0.id == id && $0.kernel == kernel } }

    /// The median over the rounds; for a measurement that was made under one setting of kernels only, of that.
    func ours(_ id: String, _ key: String, _ kernel: String) -> Double? {
        let exact = values(id, key, kernel)
        return exact ?? kernels.first.flatMap { values(id, key, $0) }
    }

    func reference(_ id: String, _ key: String) -> Double? { values(id, key, nil) }

    private func values(_ id: String, _ key: String, _ kernel: String?) -> Double? {
        let values = samples(id, kernel).compactMap { $0.number(key) }
        return values.isEmpty ? nil : median(values)
    }

    /// The least time that a step's matrix products took, in seconds.
    func ceiling(_ id: String, _ entry: String, _ kernel: String) -> Double? {
        samples(id, kernel).compactMap { $0.number("\(entry).seconds") }.min()
    }

    var json: JSONValue {
        [
            "processor": .string(processor), "threads": .integer(threads), "batch": .integer(batch),
            "length": .integer(length),
            "samples": .array(
                samples.map {
                    [
                        "id": .string($0.id), "kernel": $0.kernel.map { .string($0) } ?? .null,
                        "peak_memory_bytes": .integer($0.peakBytes),
                        "seconds_to_first_line": .number($0.secondsToFirstLine), "summary": $0.summary.plain,
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
        threads = try node.integer("threads")
        batch = try node.integer("batch")
        length = try node.integer("length")
        samples = try node.array("samples").map {
            Sample(
                id: try $0.string("id"), kernel: try $0.optionalString("kernel"),
                peakBytes: try $0.integer("peak_memory_bytes"),
                secondsToFirstLine: try $0.optionalNumber("seconds_to_first_line") ?? .nan,
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
