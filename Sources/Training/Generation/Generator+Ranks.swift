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
        let all = Optional(ranks).map(prompts.count) { index in
            [found[index]].numbers + found[index].alternatives.numbers
        }
        return all.enumerated().map { index, numbers in
            var generations = [Generation](numbers: numbers)
            var generation = generations.removeFirst()
            generation.alternatives = generations
            onFinish(index, generation)
            return generation
        }
    }
}

extension [Generation] {
    private static var stops: [Generation.Stop] { [.endOfText, .stopString, .tokenLimit, .lengthLimit] }

    /// Of each the stop, the score or NaN, the number of tokens and the tokens; without the alternatives.
    fileprivate var numbers: [Double] {
        flatMap { generation -> [Double] in
            let stop = Double(Self.stops.firstIndex(of: generation.stop) ?? 0)
            let score = generation.score.map { Double($0) } ?? Double.nan
            let head: [Double] = [stop, score, Double(generation.tokens.count)]
            return head + generation.tokens.map { Double($0) }
        }
    }

    /// What `numbers` was made of.
    fileprivate init(numbers: [Double]) {
        self = []
        var rest = numbers[...]
        while rest.count >= 3 {
            let head = [Double](rest.prefix(3))
            rest = rest.dropFirst(3)
            let count = Int(head[2])
            var generation = Generation(tokens: rest.prefix(count).map { Int32($0) }, stop: Self.stops[Int(head[0])])
            generation.score = head[1].isNaN ? nil : Float(head[1])
            append(generation)
            rest = rest.dropFirst(count)
        }
    }
}
