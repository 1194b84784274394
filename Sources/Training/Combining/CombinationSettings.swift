/// How several adapters become one, by the names of peft's `add_weighted_adapter`.
public enum CombinationType: String, CaseIterable, Sendable {
    case linear, cat, svd, ties
    case tiesSVD = "ties_svd"
    case dareLinear = "dare_linear"
    case dareTies = "dare_ties"
    case dareLinearSVD = "dare_linear_svd"
    case dareTiesSVD = "dare_ties_svd"
    case magnitudePrune = "magnitude_prune"
    case magnitudePruneSVD = "magnitude_prune_svd"

    /// Whether the changes themselves are combined and brought down to a rank, rather than A and B each for itself.
    public var combinesChanges: Bool { rawValue.hasSuffix("svd") }
    /// Whether adapters are pruned to a density.
    public var prunes: Bool { ![.linear, .cat, .svd].contains(self) }
    /// Whether numbers are dropped at random (Yu et al. 2023).
    public var isRandom: Bool { rawValue.hasPrefix("dare") }
    /// Whether signs are elected (Yadav et al. 2023).
    public var electsSigns: Bool { rawValue.contains("ties") }
}

/// Which adapters become one, and how.
public struct CombinationSettings: Sendable, Hashable {
    /// By what a sign wins: the sum of the numbers, or how many have it.
    public enum MajoritySign: String, CaseIterable, Sendable {
        case total, frequency
    }

    public var base: String
    public var adapters: [MergeSettings.WeightedAdapter]
    public var output: String
    public var type: CombinationType
    /// The share of numbers that pruning leaves, above 0 and at most 1.
    public var density: Double
    public var majoritySign: MajoritySign
    /// The rank of what is brought down; nil for the largest of the adapters'.
    public var rank: Int?
    /// Starts the random choice of what is dropped.
    public var seed: UInt64
    public var acceptsOtherBase: Bool

    public init(
        base: String, adapters: [MergeSettings.WeightedAdapter], output: String, type: CombinationType,
        density: Double = 1, majoritySign: MajoritySign = .total, rank: Int? = nil, seed: UInt64 = 42,
        acceptsOtherBase: Bool = false
    ) {
        (self.base, self.adapters, self.output, self.type) = (base, adapters, output, type)
        (self.density, self.majoritySign, self.rank, self.seed) = (density, majoritySign, rank, seed)
        self.acceptsOtherBase = acceptsOtherBase
    }
}

/// What combining adapters came to.
public struct CombinationSummary: Sendable, Hashable {
    /// How many modules the result changes.
    public var modules = 0
    /// The smallest and the largest rank of a module.
    public var ranks = 0...0
    /// The largest difference of a probe's logits between the result as it was computed and the written files, relative to
    /// the largest logit; for `cat` between the summed changes and the files.
    public var difference = 0.0
    /// The largest difference that would have been accepted.
    public var bound = 0.0
    /// The same between the weighted sum of the adapters' changes and the result; nil where the result is that sum, or holds
    /// more than low-rank changes.
    public var distance: Double?
    /// What else is to be known, a line each.
    public var notes: [String] = []
}
