import Batches
import Datasets

/// How large a batch is: what its memory depends on.
struct BatchShape: Hashable {
    /// Those that go through the model, of sources too.
    var tokens = 0
    var labels = 0
    var sources = 0
    var examples = 0

    init() {}

    init(_ examples: [Example]) {
        for example in examples {
            tokens += example.passCount
            labels += example.targetCount
            sources += example.source?.count ?? 0
            self.examples += 1
        }
    }

    /// Of what is computed of the examples: rows that several begin with are there once.
    init(_ examples: [Example], as batch: TokenBatch) {
        self.init(examples)
        if batch.computedCount == batch.tokenCount { return }
        (tokens, labels) = (batch.computedCount, batch.labelledRows.count)
    }
}

extension Example {
    /// The same with at most so many tokens, with as large a share of them learned; itself where it has virtual tokens, which
    /// have their places.
    func shortened(to limit: Int) -> Example {
        guard passCount > limit, !tokens.contains(where: { $0 < 0 }) else { return self }
        let share = Double(limit) / Double(passCount)
        func part(_ count: Int, atLeast least: Int) -> Int { min(count, max(least, Int(Double(count) * share))) }
        let count = part(tokens.count, atLeast: 2)
        if let label { return Example(tokens: Array(tokens.prefix(count)), label: label) }
        let targets = min(count - 1, part(targetCount, atLeast: 1))
        return Example(
            source: source.map { Array($0.prefix(part($0.count, atLeast: 1))) }, tokens: Array(tokens.prefix(count)),
            targets: [count - targets..<count])
    }
}
