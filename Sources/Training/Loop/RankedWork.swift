import Batches
import Layers
import Methods
import Ranks
import Tensors

/// Which of the records of a micro-batch one rank computes: consecutive ones, of about as many tokens as the others'.
///
/// Each record goes where its middle lies; with fewer records than ranks some get none.
package func rankShare(of lengths: [Int], rank: Int, count: Int) -> Range<Int> {
    let total = max(1, lengths.reduce(0, +))
    var (before, start, end) = (0, 0, 0)
    for length in lengths {
        let place = (2 * before + length) * count / (2 * total)
        if place < rank { start += 1 }
        if place <= rank { end += 1 }
        before += length
    }
    return start..<end
}

extension Communicator? {
    /// This rank's part of the examples of a micro-batch.
    func share(of examples: [Example]) -> [Example] {
        guard let self else { return examples }
        let lengths = examples.map(\.passCount)
        return Array(examples[rankShare(of: lengths, rank: self.rank, count: self.count)])
    }

    /// The sum of a count over all ranks.
    func sum(_ value: Int) -> Int {
        guard let self else { return value }
        return self.gather([UInt64(value)]).reduce(0) { $0 + Int($1[0]) }
    }

    /// Makes the losses and gradients that each rank found those of all of them. Where a loss is no number the gradients
    /// are left as they are.
    func combine(_ result: inout StepResult, gradientsOf parameters: [TrainableParameter]) {
        guard let self else { return }
        // A rank without records, or a parameter that its records don't meet, has no gradient.
        var flags = [UInt64](repeating: 0, count: (parameters.count + 63) / 64)
        for (index, parameter) in parameters.enumerated() where parameter.tensor.gradient != nil {
            flags[index / 64] |= 1 << (index % 64)
        }
        let all = self.gather(
            [result.lossSum.bitPattern, UInt64(result.tokenCount), UInt64(result.computedCount)] + flags)
        result.lossSum = all.reduce(0) { $0 + Double(bitPattern: $1[0]) }
        result.tokenCount = all.reduce(0) { $0 + Int($1[1]) }
        result.computedCount = all.reduce(0) { $0 + Int($1[2]) }
        guard result.lossSum.isFinite else { return }
        let present = parameters.indices.filter { index in
            all.contains { $0[3 + index / 64] >> (index % 64) & 1 == 1 }
        }
        for index in present { parameters[index].tensor.claimGradient() }
        let gradients = present.compactMap { parameters[$0].gradient }
        withExtendedLifetime(gradients) {
            self.sum(gradients.map { UnsafeMutableBufferPointer(start: $0.data, count: $0.count) })
        }
    }
}
