/// What a bias of a transformer belongs to, by which some of them can be chosen (Ben Zaken et al. 2022, section 3.1 and
/// table 3).
public enum BiasRole: String, CaseIterable, Sendable {
    case query, key, value
    case attentionOutput = "attention_output"
    /// The first layer of the feed-forward part.
    case intermediate
    /// The second layer of the feed-forward part.
    case output
    case norm
}

/// A bias, or the elements of one where a layer computes several things at once.
public struct BiasPart {
    public let parameter: Parameter
    /// nil for the whole.
    public let elements: Range<Int>?

    public init(_ parameter: Parameter, elements: Range<Int>?) {
        self.parameter = parameter
        self.elements = elements
    }
}
