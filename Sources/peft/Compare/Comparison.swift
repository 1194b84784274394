import Datasets
import Diagnostics
import JSONText

/// Runs what a plan says, each part in a process of its own.
struct Comparison {
    private let command: CompareCommand
    private let plan: ComparisonPlan
    private(set) var rows: [ComparisonRow] = []
    private(set) var wasInterrupted = false

    init(_ command: CompareCommand, _ plan: ComparisonPlan) {
        self.command = command
        self.plan = plan
    }

    var json: JSONValue {
        [
            "model": .string(plan.modelPath), "task": .string(plan.task.rawValue), "seed": .integer(Int(plan.seed)),
            "train": .array(plan.train.map(JSONValue.string)),
            "validation": .array(plan.validation.map(JSONValue.string)),
            "data": .array((command.data.isEmpty ? plan.validation : command.data).map(JSONValue.string)),
            "interrupted": .boolean(wasInterrupted), "rows": .array(rows.map(\.json)),
        ]
    }

    mutating func run() throws {
        if !plan.isRegression {
            try addBase(shots: 0)
            if command.shots > 0, plan.hasCompletions || plan.task == .sequenceClassification {
                try addBase(shots: command.shots)
            }
        }
        if let budget = plan.budget { return try addHalved(budget) }
        for entry in plan.entries where !wasInterrupted { try add(entry) }
    }

    /// The rows of runs that share a time: only the one that is left at the end is evaluated.
    private mutating func addHalved(_ budget: Double) throws {
        if wasInterrupted { return }
        let found = try halve(plan.entries, budget: budget) { comparison, arm, isFirst in
            try comparison.train(
                arm.entry, arm.rate, until: arm.seconds, goesOn: !isFirst)
        }
        guard let found else { return }
        for (index, arm) in found.arms.enumerated() {
            guard var row = arm.row else { continue }
            row.name = arm.title
            row.budgetSeconds = arm.seconds
            if index == found.winner, row.error == nil {
                row.scores = try evaluate(&row, arm.entry.options(arm.rate), on: command.data)
            }
            if wasInterrupted { return }
            finish(row)
        }
    }

    private mutating func addBase(shots: Int) throws {
        if wasInterrupted { return }
        var row = ComparisonRow(name: shots == 0 ? "base" : "base, \(shots) shots")
        let first = plan.entries[0]
        let options =
            ["--base", plan.modelPath] + first.options(first.learningRates[0])
            + (shots > 0 ? ["--shots", "\(shots)"] : [])
        if let found = try evaluate(&row, options, on: []) {
            row.validationLoss = try found.number("loss")
            row.scores = found
            if !command.data.isEmpty || measuresTexts { row.scores = try evaluate(&row, options, on: command.data) }
        }
        if !wasInterrupted { finish(row) }
    }

    private mutating func add(_ entry: ComparisonPlan.Entry) throws {
        var best: ComparisonRow?
        var trials: [ComparisonRow.Trial] = []
        for rate in entry.learningRates {
            guard let row = try train(entry, rate) else { return }
            trials.append(.init(rate: rate, validationLoss: row.validationLoss, error: row.error))
            guard let other = best else {
                best = row
                continue
            }
            if (row.validationLoss ?? .infinity) < (other.validationLoss ?? .infinity) { best = row }
        }
        guard var row = best else { return }
        row.trials = trials
        if row.error == nil, let rate = row.learningRate {
            row.scores = try evaluate(&row, entry.options(rate), on: command.data)
        }
        if !wasInterrupted { finish(row) }
    }

    /// One run; nil where it was interrupted.
    ///
    /// - Parameters:
    ///   - seconds: The time that it may have taken at its end; nil for no limit.
    ///   - goesOn: Whether an earlier part of this comparison trained it for a while.
    private mutating func train(
        _ entry: ComparisonPlan.Entry, _ rate: Double, until seconds: Double? = nil, goesOn: Bool = false
    ) throws -> ComparisonRow? {
        var row = ComparisonRow(name: entry.name)
        row.method = entry.method
        row.learningRate = rate
        let place = "\(entry.name), learning rate \(rate)"
        let existing = command.resume || goesOn ? ["--resume"] : command.overwrite ? ["--overwrite"] : []
        let limit = seconds.map { ["--set", "training.budget=null", "--set", "training.max_time=\($0)s"] } ?? []
        let child = try start(["train"] + entry.options(rate) + limit + existing + ["--json"], place)
        if child.isInterrupted {
            wasInterrupted = true
            return nil
        }
        if child.status == 0 {
            let summary = try JSONNode.parse(child.output)
            row.trainedParameters = try summary.integer("trainable_parameters")
            row.allParameters = try summary.integer("total_parameters")
            try row.readRun(entry.folder(rate))
        } else {
            row.error = child.reason
        }
        return row
    }

    /// Whether completions are generated and scored.
    private var measuresTexts: Bool { plan.hasCompletions }

    /// What an evaluation prints; nil where it fails, which the row then says, or was interrupted.
    private mutating func evaluate(
        _ row: inout ComparisonRow, _ options: [String], on files: [String]
    ) throws -> JSONNode? {
        let isFinal = row.method != nil || row.scores != nil
        let texts =
            measuresTexts && isFinal ? ["--metrics", "rouge", "--max-new-tokens", "\(command.maxNewTokens)"] : []
        let limit = texts.isEmpty ? [] : command.limit.map { ["--limit", "\($0)"] } ?? []
        let child = try start(
            ["eval", "--json"] + options + files.flatMap { ["--data", $0] } + texts + limit, row.name)
        // An evaluation ends at once, with the signal or the shell's number for it.
        if Interruption.isRequested {
            wasInterrupted = true
            return nil
        }
        guard child.status == 0 else {
            row.error = child.reason
            return nil
        }
        return try JSONNode.parse(child.output)
    }

    private func start(_ arguments: [String], _ place: String) throws -> ChildProcess {
        let threads = command.common.threads.map { ["--threads", "\($0)"] } ?? []
        if !Console.errorCanRedraw { Console.note("\(place): \(arguments[0])") }
        return try ChildProcess.run(arguments + threads) { line in
            if Console.errorCanRedraw, !Console.isQuiet { Console.showStatus("\(place): \(line.prefix(60))") }
        }
    }

    private mutating func finish(_ row: ComparisonRow) {
        rows.append(row)
        Console.note(row.summary)
    }
}

extension ComparisonRow {
    /// One line for people.
    var summary: String {
        if let error { return "\(name): failed: \(error)" }
        let loss = validationLoss.map { "validation loss \($0.text(decimals: 4))" }
        let score = score.map { "\($0.name) \($0.value.text(decimals: 4))" }
        return "\(name): " + [loss, score].compactMap { $0 }.joined(separator: ", ")
    }
}
