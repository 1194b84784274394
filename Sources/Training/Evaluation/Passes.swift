import Batches
import Datasets
import Ranks

/// Passes of each rank between two moments at which all tell what they found.
private let passesPerRound = 4

/// Takes the examples of a data set, in order, so many at a time, through a model; ranks share the passes out, and get the
/// numbers of all of them.
///
/// - Parameters:
///   - count: The rows that an example takes.
///   - done: Of so many examples, from the first on, the numbers are known. Passes are the same as if none were, and those
///     with these alone aren't computed.
///   - compute: Gives a pass's numbers.
///   - consume: Called with the first number of each pass's examples, in their order, the pass and its numbers.
///   - onProgress: Called on all ranks after the same passes.
func forEachPass(
    over dataset: Dataset, rowsPerPass: Int, examplesPerPass: Int, behind done: Int, ranks: Communicator?,
    rows count: (Example) -> Int, compute: ([Example]) throws -> [Double],
    consume: (Int, [Example], [Double]) throws -> Void,
    onProgress: () throws -> Void
) throws {
    var round: [(first: Int, examples: [Example])] = []
    func endRound() throws {
        let numbers = try ranks.map(round.count) { try compute(round[$0].examples) }
        for (pass, numbers) in zip(round, numbers) { try consume(pass.first, pass.examples, numbers) }
        round = []
        try onProgress()
    }
    let passes = ranks == nil ? 1 : passesPerRound * ranks.count
    var pending: [Example] = []
    var rows = 0
    for index in 0..<dataset.count {
        let example = try dataset.example(index)
        let isFull = pending.count == examplesPerPass || rows + count(example) > rowsPerPass
        if !pending.isEmpty, isFull {
            if index > done { round.append((index - pending.count, pending)) }
            pending = []
            rows = 0
            if round.count == passes { try endRound() }
        }
        pending.append(example)
        rows += count(example)
    }
    if dataset.count > done { round.append((dataset.count - pending.count, pending)) }
    if !round.isEmpty { try endRound() }
}
