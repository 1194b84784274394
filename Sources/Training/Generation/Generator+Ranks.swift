public import Ranks

extension Generator {
    /// Continues every prompt, shared out over ranks, each of which gets all that came out; no token depends on how many
    /// there are.
    ///
    /// - Parameters:
    ///   - firstIndex: The number of the first prompt in the whole run, on which the random draws depend.
    ///   - limits: Of new tokens for each prompt.
    ///   - onFinish: Called as each is done, in no particular order; among several ranks when all are.
    /// - Throws: As without ranks.
    public func generate(
        _ prompts: [[Int32]], firstIndex: Int, limits: [Int], ranks: Communicator?,
        onFinish: (Int, Generation) -> Void = { _, _ in }
    ) throws -> [Generation] {
        guard let ranks else {
            return try generate(prompts, firstIndex: firstIndex, limits: limits, onFinish: onFinish)
        }
        // The others' prompts keep their places, because the random draws go by the prompts' numbers.
        let own = limits.enumerated().map { $0 % ranks.count == ranks.rank ? $1 : 0 }
        let found = try generate(prompts, firstIndex: firstIndex, limits: own)
        let stops: [Generation.Stop] = [.endOfText, .tokenLimit, .lengthLimit]
        let all = Optional(ranks).map(prompts.count) { index in
            [Double(stops.firstIndex(of: found[index].stop) ?? 0)] + found[index].tokens.map(Double.init)
        }
        return all.enumerated().map { index, numbers in
            let generation = Generation(tokens: numbers.dropFirst().map { Int32($0) }, stop: stops[Int(numbers[0])])
            onFinish(index, generation)
            return generation
        }
    }
}
