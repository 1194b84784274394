import Glibc

extension Comparison {
    /// A run that may go on in the next round.
    struct Arm {
        let entry: ComparisonPlan.Entry
        let rate: Double
        var seconds = 0.0
        var row: ComparisonRow?

        /// What isn't known can't be good.
        var loss: Double { row?.validationLoss ?? .infinity }
    }

    /// Shares a budget of time out by successive halving (Jamieson and Talwalkar 2016): in each round all runs that are left
    /// train for equal parts of the round's share, and the better half by validation loss goes on, until one is left.
    ///
    /// - Returns: All runs in the order of the plan, each as far as it came, and the one that was left.
    mutating func halve(
        _ entries: [ComparisonPlan.Entry], budget: Double,
        train: (inout Comparison, Arm, _ isFirst: Bool) throws -> ComparisonRow?
    ) throws -> (arms: [Arm], winner: Int)? {
        var arms = entries.flatMap { entry in entry.learningRates.map { Arm(entry: entry, rate: $0) } }
        var left = Array(arms.indices)
        let rounds = max(1, Int(log2(Double(max(1, arms.count))).rounded(.up)))
        for round in 0..<rounds {
            for index in left {
                arms[index].seconds += budget / Double(rounds) / Double(left.count)
                guard let row = try train(&self, arms[index], round == 0) else { return nil }
                arms[index].row = row
            }
            // The first of equals is better, by the order of the plan.
            let ranked = left.sorted { arms[$0].loss == arms[$1].loss ? $0 < $1 : arms[$0].loss < arms[$1].loss }
            left = Array(ranked.prefix((left.count + 1) / 2)).sorted()
            note(
                "round \(round + 1) of \(rounds): \(left.map { arms[$0].title }.joined(separator: ", ")) \(left.count == 1 ? "is" : "are") left"
            )
        }
        return (arms, left.min { arms[$0].loss < arms[$1].loss } ?? 0)
    }

    private func note(_ text: String) { Console.note(text) }
}

extension Comparison.Arm {
    var title: String { entry.learningRates.count == 1 ? entry.name : "\(entry.name) at \(rate)" }
}
