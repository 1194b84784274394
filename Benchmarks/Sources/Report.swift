import Glibc
import JSONText

/// What a comparison measured, and its two forms.
struct Report {
    /// All runs of one side of one workload.
    struct Series {
        var workload: Workload
        /// OpenBLAS's kernels on our side, nil on the reference's.
        var kernel: String?
        var runMedians: [Double] = []
        var tokensPerSecond: [Double] = []
        var peakBytes = 0
        var firstStep: [Double] = []

        var seconds: Double { median(runMedians) }
    }

    private let size: BatchOptions
    private let rounds: Int
    private let steps: Int
    private var ceilings: [JSONNode] = []
    private var series: [Series] = []

    init(size: BatchOptions, rounds: Int, steps: Int) {
        self.size = size
        self.rounds = rounds
        self.steps = steps
    }

    mutating func addCeiling(_ result: JSONNode) { ceilings.append(result) }

    mutating func add(_ result: ChildResult, _ workload: Workload) {
        let kernel = try? result.summary.string("kernel")
        let index =
            series.firstIndex { $0.workload == workload && $0.kernel == kernel }
            ?? {
                series.append(Series(workload: workload, kernel: kernel))
                return series.count - 1
            }()
        let seconds = ((try? result.summary.array("seconds")) ?? []).compactMap { try? $0.asNumber() }
        series[index].runMedians.append(median(seconds))
        series[index].tokensPerSecond.append((try? result.summary.number("tokens_per_second")) ?? .nan)
        series[index].peakBytes = max(series[index].peakBytes, result.peakBytes)
        series[index].firstStep.append(result.secondsToFirstLine)
    }

    /// The ceiling's time over the step's.
    private func ceilingShare(_ one: Series) -> Double? {
        guard let ceiling = ceilings.first(where: { (try? $0.string("kernel")) == one.kernel }),
            let seconds = try? ceiling.optional(one.workload.ceiling)?.number("seconds")
        else { return nil }
        return seconds / one.seconds
    }

    private func reference(of one: Series) -> Series? {
        one.kernel == nil ? nil : series.first { $0.workload == one.workload && $0.kernel == nil }
    }

    var json: JSONValue {
        let rows: [JSONValue] = series.map { one in
            [
                "workload": .string(one.workload.rawValue), "kernel": one.kernel.map { .string($0) } ?? .null,
                "seconds": .number(one.seconds), "run_medians": .array(one.runMedians.map { .number($0) }),
                "tokens_per_second": .number(median(one.tokensPerSecond)), "peak_memory_bytes": .integer(one.peakBytes),
                "seconds_to_first_step": .number(median(one.firstStep)),
                "ceiling_share": ceilingShare(one).map { .number($0) } ?? .null,
                "speed_ratio": reference(of: one).map { .number($0.seconds / one.seconds) } ?? .null,
                "memory_ratio": reference(of: one).map { .number(Double(one.peakBytes) / Double($0.peakBytes)) }
                    ?? .null,
            ]
        }
        return [
            "processor": .string(processorName), "threads": .integer(size.threads), "batch": .integer(size.batch),
            "length": .integer(size.length), "rounds": .integer(rounds), "steps": .integer(steps),
            "ceilings": .array(ceilings.map(\.plain)), "rows": .array(rows),
        ]
    }

    /// - Parameter before: An earlier report's `json`.
    func markdown(comparedWith before: JSONNode?) -> String {
        var text = """
            Training steps on \(processorName), \(size.threads) threads; dense batches of \(size.batch) × \(size.length) \
            tokens, records 8 at a time; medians of \(rounds) runs of \(steps) steps, the sides in turn.

            | workload | side | s a step | tokens/s | share of the sgemm ceiling | peak memory, MB | start to first step, s | speed | memory | last time |
            |---|---|---|---|---|---|---|---|---|---|

            """
        for one in series {
            let other = reference(of: one)
            let cells = [
                one.workload.rawValue, one.kernel.map { "peft, OpenBLAS \($0)" } ?? "reference",
                fixed(one.seconds, 3), fixed(median(one.tokensPerSecond), 0), fixed(ceilingShare(one), 2),
                fixed(Double(one.peakBytes) / 1e6, 0), fixed(median(one.firstStep), 2),
                other.map { fixed($0.seconds / one.seconds, 2) + " ×" } ?? "",
                other.map { fixed(Double(one.peakBytes) / Double($0.peakBytes), 2) + " ×" } ?? "",
                fixed(earlierSeconds(one, before), 3),
            ]
            text += "| " + cells.joined(separator: " | ") + " |\n"
        }
        for ceiling in ceilings {
            let rates = Workload.allCases.compactMap { workload in
                (try? ceiling.optional(workload.ceiling)?.number("gigaflops")).map {
                    "\(fixed($0, 0)) GFLOP/s for \(workload.rawValue)"
                }
            }
            text +=
                "\nCeiling, OpenBLAS \((try? ceiling.string("kernel")) ?? ""): "
                + rates.joined(separator: ", ") + ".\n"
        }
        return text
    }

    private func earlierSeconds(_ one: Series, _ before: JSONNode?) -> Double? {
        guard let rows = try? before?.array("rows") else { return nil }
        let row = rows.first {
            (try? $0.string("workload")) == one.workload.rawValue && (try? $0.string("kernel")) == one.kernel
        }
        return try? row?.number("seconds")
    }
}

/// The processor as the system names it.
private var processorName: String {
    guard let file = fopen("/proc/cpuinfo", "r") else { return "an unknown processor" }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 4096)
    while fgets(&line, Int32(line.count), file) != nil {
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if text.hasPrefix("model name"), let value = text.split(separator: ":").last {
            return value.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        }
    }
    return "an unknown processor"
}

func fixed(_ value: Double?, _ digits: Int) -> String {
    guard let value, value.isFinite else { return "" }
    let scale = pow(10, Double(digits))
    let whole = Int((value * scale).rounded())
    guard digits > 0 else { return "\(whole)" }
    let fraction = String(whole % Int(scale))
    return "\(whole / Int(scale))." + String(repeating: "0", count: digits - fraction.count) + fraction
}
