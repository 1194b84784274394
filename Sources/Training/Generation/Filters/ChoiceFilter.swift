import Glibc

/// Leaves some of the tokens that can be drawn.
protocol ChoiceFilter: Sendable {
    /// nil where the settings don't ask for it.
    init?(_ settings: SamplingSettings)

    /// Which of the choices stay, whose probabilities sum to 1; at least the most likely one.
    func stays(_ choices: [Sampler.Choice]) -> [Bool]
}

/// What follows top-k and top-p, in transformers' order.
let choiceFilters: [any ChoiceFilter.Type] = [MinimumShare.self, TypicalMass.self, EpsilonCutoff.self, EtaCutoff.self]

extension [Sampler.Choice] {
    var largestProbability: Double { reduce(0) { Swift.max($0, $1.probability) } }

    /// −Σ p log p
    var entropy: Double { -reduce(0) { $0 + ($1.probability > 0 ? $1.probability * log($1.probability) : 0) } }
}
