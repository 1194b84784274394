import Diagnostics

/// A reproducible choice of elements that are set to zero, from a counter-based generator: the same key gives the same
/// choice, so the backward pass draws it again and no mask is stored.
public struct Dropout: Sendable, Hashable {
    /// The share of elements that is dropped, 0 ≤ p < 1.
    public let probability: Float
    /// Names the choice; derived from the seed, the step and the place in the model.
    public let key: UInt64
    /// What a kept element is multiplied by, 1 / (1 − p).
    let scale: Float
    /// An element is dropped where its random number of 31 bits is below this.
    let threshold: Int32

    public init(probability: Float, key: UInt64) {
        require(probability >= 0 && probability < 1, "Dropout: a probability of \(probability)")
        self.probability = probability
        self.key = key
        scale = 1 / (1 - probability)
        threshold = Int32(Double(probability) * 2_147_483_648)
    }

    /// The factors (0 or `scale`) of the eight elements from `index` on; `softmax.c` has the same for sixteen.
    @inline(__always) func factors(_ index: Int) -> Lanes {
        let x = randomBits(index, key: key)
        // The sign of the difference, spread over all bits, blanks the dropped ones; a comparison would be done lane by
        // lane.
        let dropped = (unsafeBitCast(x &>> 1, to: SIMD8<Int32>.self) &- threshold) &>> 31
        let bits = ~unsafeBitCast(dropped, to: SIMD8<UInt32>.self) & SIMD8(repeating: scale.bitPattern)
        return unsafeBitCast(bits, to: Lanes.self)
    }

    /// Whether an element is kept.
    public func keeps(_ index: Int) -> Bool { factor(index) != 0 }

    /// The factor of one element: the same as its lane of `factors`.
    @inline(__always) func factor(_ index: Int) -> Float { factors(index)[0] }
}

/// Thirty-two random bits for each of the eight elements from `index` on.
@inline(__always) func randomBits(_ index: Int, key: UInt64) -> SIMD8<UInt32> {
    let counter = UInt32(truncatingIfNeeded: index)
    let low = UInt32(truncatingIfNeeded: key)
    let high = UInt32(truncatingIfNeeded: key >> 32)
    var x = SIMD8<UInt32>(repeating: counter) &+ SIMD8<UInt32>(0, 1, 2, 3, 4, 5, 6, 7)
    x = x &* 0x9E37_79B9 &+ low
    x ^= x &>> 16
    x = (x ^ high) &* 0x7FEB_352D
    x ^= x &>> 15
    x = x &* 0x846C_A68B
    x ^= x &>> 16
    return x
}
