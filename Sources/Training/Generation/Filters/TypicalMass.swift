import Glibc

/// `typical_p`: the tokens whose surprise −log p is nearest to its mean, until they have this probability (Meister et al.
/// 2022).
struct TypicalMass: ChoiceFilter {
    private let mass: Double

    init?(_ settings: SamplingSettings) {
        guard let mass = settings.typicalP, mass < 1 else { return nil }
        self.mass = mass
    }

    func stays(_ choices: [Sampler.Choice]) -> [Bool] {
        let entropy = choices.entropy
        let distances = choices.map { (-log($0.probability) - entropy).magnitude }
        let order = choices.indices.sorted {
            distances[$0] == distances[$1] ? $0 < $1 : distances[$0] < distances[$1]
        }
        var sum = 0.0
        let last = order.first { index in
            sum += choices[index].probability
            return sum >= mass
        }
        let bound = distances[last ?? order[order.count - 1]]
        return choices.indices.map { distances[$0] <= bound || $0 == order[0] }
    }
}
