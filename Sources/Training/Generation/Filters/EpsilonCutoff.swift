/// `epsilon_cutoff`: tokens at least so likely (Hewitt et al. 2022).
struct EpsilonCutoff: ChoiceFilter {
    private let epsilon: Double

    init?(_ settings: SamplingSettings) {
        guard let epsilon = settings.epsilonCutoff else { return nil }
        self.epsilon = epsilon
    }

    func stays(_ choices: [Sampler.Choice]) -> [Bool] {
        let largest = choices.largestProbability
        return choices.map { $0.probability >= epsilon || $0.probability == largest }
    }
}
