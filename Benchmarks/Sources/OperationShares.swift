import Glibc
import JSONText
import Tensors

/// What each operation took of the time of some steps.
struct OperationShares {
    private struct Row {
        var name: String
        var seconds: Double
        var count: Int
    }

    private let rows: [Row]
    private let total: Double
    private let steps: Int

    /// The inputs of operations that have several, in the order in which the operation records them.
    private static let inputNames: [String: [String]] = [
        "linear": ["weight", "bias", "low-rank B", "low-rank input", "input"],
        "lowRankInput": ["low-rank A", "input"],
        "addResidual": ["residual", "sub-layer"],
        "layerNorm": ["input", "weight", "bias"],
    ]

    init(_ entries: [OpTimer.Entry], steps: Int) {
        self.steps = max(1, steps)
        total = entries.reduce(0) { $0 + $1.seconds }
        rows = entries.map { entry in
            let sizes = entry.sizes.isEmpty ? "" : " " + entry.sizes.map { "\($0)" }.joined(separator: "→")
            let back = entry.pullback.map { place in
                let names = Self.inputNames[entry.name] ?? []
                return ", gradient of " + (place <= names.count ? names[place - 1] : "input \(place)")
            }
            return Row(name: entry.name + sizes + (back ?? ""), seconds: entry.seconds, count: entry.count)
        }
    }

    var json: JSONValue {
        .array(
            rows.map {
                [
                    "operation": .string($0.name), "seconds_a_step": .number($0.seconds / Double(steps)),
                    "share": .number($0.seconds / total), "calls_a_step": .number(Double($0.count) / Double(steps)),
                ]
            })
    }

    var text: String {
        let lines = rows.filter { $0.seconds > 0.0005 * total }.map { row in
            let columns = [
                fixed(100 * row.seconds / total, 1) + " %", fixed(1000 * row.seconds / Double(steps), 1) + " ms",
                "\(row.count / steps) ×",
            ].map { String(repeating: " ", count: max(0, 10 - $0.count)) + $0 }
            return columns.joined() + "  " + row.name
        }
        return lines.joined(separator: "\n")
    }
}

/// A line for people.
func say(_ text: String) {
    _ = (text + "\n").withCString { write(2, $0, strlen($0)) }
}
