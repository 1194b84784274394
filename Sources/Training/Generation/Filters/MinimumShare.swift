/// `min_p`: tokens at least this share as likely as the most likely one (Nguyen et al. 2024).
struct MinimumShare: ChoiceFilter {
    private let share: Double

    init?(_ settings: SamplingSettings) {
        guard let share = settings.minP else { return nil }
        self.share = share
    }

    func stays(_ choices: [Sampler.Choice]) -> [Bool] {
        let least = share * choices.largestProbability
        return choices.map { $0.probability >= least }
    }
}
