import Charts
import Configuration
import Diagnostics
import JSONText
import Training

/// The curves of runs in one picture.
struct Plot {
    private let runs: [PlottedRun]
    private let curves: [PlottedCurve]
    private let metric: String?
    private let window: Int?
    private let axis: RunMetrics.Axis

    private static let keys = ["loss", "eval_loss"]

    /// - Parameters:
    ///   - metric: The key to draw; nil for the losses.
    ///   - window: How many values are drawn as their mean; nil for what a curve needs.
    init(_ paths: [String], metric: String?, window: Int?, over axis: RunMetrics.Axis) throws {
        let runs = try PlottedRun.read(paths)
        (self.runs, self.metric, self.window, self.axis) = (runs, metric, window, axis)
        let keys = metric.map { [$0] } ?? Self.keys
        curves = runs.flatMap { run in
            keys.compactMap { key in
                PlottedCurve(run, key, window: Self.keys.dropFirst().contains(key) ? window ?? 1 : window, over: axis)
            }
        }
        let left = runs.filter { run in !curves.contains { $0.run.folder == run.folder } }
        if curves.isEmpty { throw Self.nothing(keys, runs, axis) }
        for run in left {
            Console.report(
                Problem(
                    "has no '\(keys[0])'\(axis == .step ? "" : " by \(axis.rawValue)"), and is left out",
                    file: run.folder,
                    severity: .warning))
        }
    }

    private static func nothing(_ keys: [String], _ runs: [PlottedRun], _ axis: RunMetrics.Axis) -> Problem {
        var names: [String] = []
        for run in runs {
            for name in run.metrics.measured where !names.contains(name) { names.append(name) }
        }
        let whose = runs.count == 1 ? runs[0].folder : nil
        if names.contains(keys[0]) {
            return Problem("'\(keys[0])' has no place by \(axis.rawValue): take another --x", file: whose)
        }
        let near = suggestion(for: keys[0], among: names).map { "; did you mean '\($0)'?" } ?? ""
        return Problem(
            "\(whose == nil ? "no run has" : "has no") '\(keys[0])'; there are \(names.joined(separator: ", "))\(near)",
            file: whose)
    }

    /// Throws a `Problem` where no value can be drawn.
    func requireDrawable() throws {
        if chart.isEmpty {
            throw Problem(
                "no value of '\(metric ?? Self.keys[0])' is small enough to be drawn",
                file: runs.count == 1 ? runs[0].folder : nil)
        }
    }

    private var title: String {
        let what = metric ?? (curves.contains { $0.key != Self.keys[0] } ? "loss, dashed the validation loss" : "loss")
        return runs.count == 1 ? "\(metric ?? "loss") of \(runs[0].name)" : what
    }

    var chart: Chart {
        if metric == nil, runs.count == 1 {
            return LossPicture(runs[0].metrics, bestStep: nil).chart(title: title, window: window, over: axis)
        }
        return Chart(title: title, x: axis.kind, xTitle: axis.rawValue, lines: lines(withValues: runs.count <= 3))
    }

    /// - Parameter withValues: Whether what means were taken of is drawn too.
    private func lines(withValues: Bool) -> [ChartLine] {
        var lines: [ChartLine] = []
        for (index, run) in runs.enumerated() {
            let own = curves.filter { $0.run.folder == run.folder }
            for (number, curve) in own.enumerated() {
                let isValidation = metric == nil && curve.key != Self.keys[0]
                // The last of a run's curves has the value that counts.
                let best = own.last?.bestText.map {
                    own.last?.key == "eval_loss" && metric == nil ? "validation \($0)" : $0
                }
                let name = [run.name, curve.window > 1 ? "mean of \(curve.window)" : nil, best].compactMap { $0 }
                if withValues, curve.window > 1 {
                    lines.append(ChartLine("", curve.points, color: index, stroke: .thin))
                }
                lines.append(
                    ChartLine(
                        number == 0 ? name.joined(separator: ", ") : "", curve.means, color: index,
                        stroke: isValidation ? .dashed : .solid, hasDots: curve.key.hasPrefix("eval_"),
                        mark: number == own.count - 1 ? curve.best.map { curve.means[$0] } : nil))
            }
        }
        return lines
    }

    /// Draws in the terminal.
    func show() {
        let lines = lines(withValues: false)
        let hasColors = Console.outputHasColors
        let picture = TerminalChart(
            Chart(title: title, x: axis.kind, xTitle: axis.rawValue, lines: lines),
            width: min(100, Console.outputColumns), height: 16, lettered: !hasColors && runs.count > 1)
        let rows = picture.rows
        Console.line(title)
        if rows.isEmpty { Console.line("the terminal is too narrow to draw in") }
        for row in rows { Console.line(row.map { (text: $0.text, color: $0.color) }) }
        for line in lines where !line.name.isEmpty {
            let sign = hasColors ? "━━━" : runs.count > 1 ? "\(TerminalChart.letter(line.color))" : ""
            Console.line([(text: sign, color: line.color), (text: (sign.isEmpty ? "" : " ") + line.name, color: nil)])
        }
    }

    var json: JSONValue {
        [
            "x": .string(axis.rawValue),
            "curves": .array(
                curves.map { curve in
                    [
                        "run": .string(curve.run.name), "folder": .string(curve.run.folder),
                        "metric": .string(curve.key), "window": .integer(curve.window),
                        "best": curve.best.map { Self.point(curve.means[$0]) } ?? nil,
                        "points": .array(curve.points.map(Self.point)),
                        "means": curve.window > 1 ? .array(curve.means.map(Self.point)) : nil,
                    ]
                }),
        ]
    }

    private static func point(_ point: ChartPoint) -> JSONValue {
        let x = Int(exactly: point.x).map(JSONValue.integer) ?? .number(point.x)
        return ["x": x, "y": .number(point.y)]
    }
}
