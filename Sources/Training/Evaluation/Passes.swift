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
///   - compute: Gives a pass's numbers.
///   - consume: Called with each pass, in their order, and its numbers.
///   - onProgress: Called on all ranks after the same passes.
func forEachPass(
    over dataset: Dataset, rowsPerPass: Int, examplesPerPass: Int, ranks: Communicator?,
    rows count: (Example) -> Int, compute: ([Example]) throws -> [Double],
    consume: ([Example], [Double]) throws -> Void,
    onProgress: () throws -> Void
) throws {
    var round: [[Example]] = []
    func endRound() throws {
        let numbers = try ranks.map(round.count) { try compute(round[$0]) }
        for (examples, numbers) in zip(round, numbers) { try consume(examples, numbers) }
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
            round.append(pending)
            pending = []
            rows = 0
            if round.count == passes { try endRound() }
        }
        pending.append(example)
        rows += count(example)
    }
    if !pending.isEmpty { round.append(pending) }
    if !round.isEmpty { try endRound() }
}
