import Glibc

/// `eta_cutoff`: tokens at least so likely, or √η exp(−entropy) where that is less (Hewitt et al. 2022).
struct EtaCutoff: ChoiceFilter {
    private let epsilon: Double

    init?(_ settings: SamplingSettings) {
        guard let epsilon = settings.etaCutoff else { return nil }
        self.epsilon = epsilon
    }

    func stays(_ choices: [Sampler.Choice]) -> [Bool] {
        let eta = min(epsilon, epsilon.squareRoot() * exp(-choices.entropy))
        let largest = choices.largestProbability
        return choices.map { $0.probability >= eta || $0.probability == largest }
    }
}
