import Layers
import Tensors

/// When how many ranks are left (the paper, section 3.3).
struct RankSchedule: Equatable {
    var warmup: Int
    var final: Int
    var interval: Int
    var total: Int

    /// The ranks that are left after step `step`, counted from 0, of `first` at the beginning and `last` at the end; nil
    /// where none are taken away then.
    func budget(after step: Int, first: Int, last: Int) -> Int? {
        if step <= warmup { return nil }
        if step > total - final { return last }
        let share = 1 - Double(step - warmup) / Double(total - final - warmup)
        let budget = Int(Double(first - last) * share * share * share + Double(last))
        return step % interval == 0 ? budget : nil
    }
}

/// Measures how much each triplet matters, and sets to 0 the E of those that the budget has no room for (the paper,
/// algorithm 1, step for step as peft runs it).
final class RankAllocator {
    private let triplets: [SingularTriplets]
    private let schedule: RankSchedule
    private let (beta1, beta2): (Float, Float)
    private let (firstBudget, lastBudget): (Int, Int)
    /// Of each A, B and E in turn: the running means of the sensitivity |p · dp| and of how far it strays from that.
    private let sensitivities: [[Tensor]]
    private let uncertainties: [[Tensor]]
    /// The last choice: 1 for a rank that is kept, [triplets][r]; and whether there was one, [1].
    private let masks: [Tensor]
    private let hasChosen = Tensor(zeros: [1])

    init(_ triplets: [SingularTriplets], _ schedule: RankSchedule, _ settings: AdaLoRASettings) {
        self.triplets = triplets
        self.schedule = schedule
        (beta1, beta2) = (Float(settings.beta1), Float(settings.beta2))
        firstBudget = triplets.reduce(0) { $0 + $1.rank }
        lastBudget = settings.targetRank * triplets.count
        func zeros() -> [[Tensor]] { triplets.map { $0.trainable.map { Tensor(zeros: $0.tensor.shape) } } }
        sensitivities = zeros()
        uncertainties = zeros()
        masks = triplets.map { Tensor(zeros: [$0.rank]) }
    }

    /// The ranks that the last choice kept, by path; empty before the first one.
    var kept: [String: [Bool]] {
        if hasChosen.data[0] == 0 { return [:] }
        return Dictionary(
            uniqueKeysWithValues: zip(triplets, masks).map { ($0.linear.path, $1.values.map { $0 != 0 }) })
    }

    /// All that is remembered from step to step, by name.
    var state: [(name: String, tensor: Tensor)] {
        var list = [(name: "rank_choice", tensor: hasChosen)]
        for (index, triplet) in triplets.enumerated() {
            list.append((triplet.linear.path + ".kept_ranks", masks[index]))
            for (part, parameter) in triplet.trainable.enumerated() {
                list.append(("exp_avg_ipt." + parameter.name, sensitivities[index][part]))
                list.append(("exp_avg_unc." + parameter.name, uncertainties[index][part]))
            }
        }
        return list
    }

    func update(after step: OptimizerStep) {
        let last = schedule.total - schedule.final
        if step.index < last {
            measure(gradientScale: step.gradientScale)
            if let budget = schedule.budget(after: step.index, first: firstBudget, last: lastBudget) { choose(budget) }
        } else if step.index == last {
            choose(schedule.budget(after: step.index, first: firstBudget, last: lastBudget) ?? lastBudget)
        } else {
            mask()
        }
    }

    private func measure(gradientScale: Float) {
        for (index, triplet) in triplets.enumerated() {
            for (part, parameter) in triplet.trainable.enumerated() {
                guard let gradient = parameter.tensor.gradient else { continue }
                let (mean, spread) = (sensitivities[index][part], uncertainties[index][part])
                for i in 0..<gradient.count {
                    let sensitivity = (parameter.tensor.data[i] * (gradient.data[i] * gradientScale)).magnitude
                    mean.data[i] = beta1 * mean.data[i] + (1 - beta1) * sensitivity
                    spread.data[i] = beta2 * spread.data[i] + (1 - beta2) * (sensitivity - mean.data[i]).magnitude
                }
            }
        }
    }

    /// How much each rank of a layer matters: the score of E and the means of those of A's row and B's column.
    private func scores(_ index: Int) -> [Double] {
        let triplet = triplets[index]
        func score(_ part: Int, _ i: Int) -> Double {
            Double(sensitivities[index][part].data[i] * uncertainties[index][part].data[i])
        }
        let (inputs, outputs, rank) = (triplet.a.columnCount, triplet.b.rowCount, triplet.rank)
        return (0..<rank).map { k in
            let row = (0..<inputs).reduce(0) { $0 + score(0, k * inputs + $1) } / Double(inputs)
            let column = (0..<outputs).reduce(0) { $0 + score(1, $1 * rank + k) } / Double(outputs)
            return score(2, k) + row + column
        }
    }

    /// Keeps what scores above the highest of those that must go.
    private func choose(_ budget: Int) {
        let scores = triplets.indices.map(scores)
        let surplus = firstBudget - budget
        let threshold = surplus > 0 ? scores.flatMap { $0 }.sorted()[surplus - 1] : -.infinity
        for (mask, scores) in zip(masks, scores) {
            for (k, score) in scores.enumerated() { mask.data[k] = score <= threshold ? 0 : 1 }
        }
        hasChosen.data[0] = 1
        mask()
    }

    private func mask() {
        if hasChosen.data[0] == 0 { return }
        for (triplet, mask) in zip(triplets, masks) {
            for k in 0..<triplet.rank where mask.data[k] == 0 { triplet.e.data[k] = 0 }
        }
    }
}
