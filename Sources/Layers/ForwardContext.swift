public import Tensors

/// What a forward pass is for: training with dropout from a seed, or inference, and with it the memory of the tokens
/// that went before.
public final class ForwardContext {
    /// Names the random choices of this pass; nil where nothing is random.
    private let randomKey: UInt64?
    private var drawn: UInt64
    /// Keys and values of earlier tokens, to which this pass adds its own; nil outside of generation.
    public let cache: KeyValueCache?
    /// The states that the pass goes on from; nil where it begins with tokens.
    public let kept: KeptStates?

    /// Whether choices are random; then rows of the pass need not have the bits that they have alone.
    public var isTraining: Bool { randomKey != nil }

    /// Whether parts of the pass are computed again on the way back instead of keeping what that needs.
    private let isCheckpointing: Bool
    /// Whether this is the second time, when only the record counts.
    let isReplay: Bool
    /// The share of each label that goes to all of them alike where the loss is taken.
    public let labelSmoothing: Double
    /// How much noise the embeddings of tokens get; 0 for none.
    private let noiseAlpha: Double

    /// Whether something random was part of the pass so far.
    public var hasDrawn: Bool { drawn > 0 }

    private init(
        randomKey: UInt64?, cache: KeyValueCache?, kept: KeptStates? = nil, isCheckpointing: Bool = false,
        drawn: UInt64 = 0, isReplay: Bool = false, labelSmoothing: Double, noiseAlpha: Double = 0
    ) {
        self.randomKey = randomKey
        self.cache = cache
        self.kept = kept
        self.isCheckpointing = isCheckpointing
        self.drawn = drawn
        self.isReplay = isReplay
        self.labelSmoothing = labelSmoothing
        self.noiseAlpha = noiseAlpha
    }

    /// A pass without anything random.
    public static func inference(cache: KeyValueCache? = nil, labelSmoothing: Double = 0) -> ForwardContext {
        ForwardContext(randomKey: nil, cache: cache, labelSmoothing: labelSmoothing)
    }

    /// A pass without anything random that goes on from `kept`, if there is something.
    public static func inference(startingFrom kept: KeptStates?, labelSmoothing: Double = 0) -> ForwardContext {
        ForwardContext(randomKey: nil, cache: nil, kept: kept, labelSmoothing: labelSmoothing)
    }

    /// A pass whose random choices follow from the run's seed and a number that no other pass of the run has.
    ///
    /// - Parameters:
    ///   - isCheckpointing: Saves memory for time, see `checkpointed`; the results have the same bits.
    ///   - kept: The states that the pass goes on from.
    ///   - labelSmoothing: The share of each label that goes to all of them alike.
    ///   - noiseAlpha: How much noise the embeddings of tokens get, see `noised`; 0 for none.
    public static func training(
        seed: UInt64, pass: UInt64, isCheckpointing: Bool = false, startingFrom kept: KeptStates? = nil,
        labelSmoothing: Double = 0, noiseAlpha: Double = 0
    ) -> ForwardContext {
        ForwardContext(
            randomKey: mixed(mixed(seed) ^ pass), cache: nil, kept: kept, isCheckpointing: isCheckpointing,
            labelSmoothing: labelSmoothing, noiseAlpha: noiseAlpha)
    }

    /// What `segment` computes, a block of a model say. With checkpointing nothing of it is kept for the way back, where
    /// it is computed once more with the same random choices.
    ///
    /// - Parameter segment: Computes with the context that it is given.
    public func checkpointed(_ segment: @escaping (ForwardContext) -> Tensor) -> Tensor {
        guard isCheckpointing else { return segment(self) }
        let before = drawn
        return Tensors.checkpointed { [self] isReplay in
            guard isReplay else { return segment(self) }
            return segment(
                ForwardContext(
                    randomKey: randomKey, cache: cache, isCheckpointing: false, drawn: before, isReplay: true,
                    labelSmoothing: labelSmoothing, noiseAlpha: noiseAlpha))
        }
    }

    /// The embeddings of tokens [tokens, width] with the pass's noise (Jain et al. 2023, NEFTune): each number of them gets
    /// one of its own from U(−m, m), m = α / √(L · width). Virtual tokens get none.
    ///
    /// - Parameter length: L, the tokens of the batch's longest text, to which transformers pads the others.
    public func noised(_ embeddings: Tensor, tokens: [Int32], length: Int) -> Tensor {
        guard let randomKey, noiseAlpha > 0, !tokens.isEmpty else { return embeddings }
        drawn += 1
        let magnitude = noiseAlpha / (Double(max(1, length)) * Double(embeddings.columnCount)).squareRoot()
        return addNoise(
            embeddings, EmbeddingNoise(magnitude: Float(magnitude), key: mixed(randomKey &+ drawn)), tokens: tokens)
    }

    /// The next dropout of the pass; nil where nothing is dropped.
    public func dropout(_ probability: Float) -> Dropout? {
        guard let randomKey, probability > 0 else { return nil }
        drawn += 1
        // The largest float below 1 where a setting just below 1 has been rounded up.
        return Dropout(probability: min(probability, Float(1).nextDown), key: mixed(randomKey &+ drawn))
    }
}

/// The output function of SplitMix64 (Steele, Lea and Flood 2014), which spreads nearby numbers over all 64 bits.
private func mixed(_ value: UInt64) -> UInt64 {
    var z = value &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
}
