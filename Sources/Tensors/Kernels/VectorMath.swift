import CVectors

extension SIMD8<Float> {
    /// The first `count` elements at `values`, and `otherwise` in the other lanes.
    @inline(__always) init(_ values: UnsafePointer<Float>, count: Int, otherwise: Float) {
        self.init(repeating: otherwise)
        for i in 0..<count { self[i] = values[i] }
    }

    /// The eight numbers of 16 bits at `values` that are the upper halves of floats (BF16).
    @inline(__always) init(upperHalves values: UnsafeRawPointer) {
        let halves = values.loadUnaligned(as: SIMD8<UInt16>.self)
        self = unsafeBitCast(SIMD8<UInt32>(truncatingIfNeeded: halves) &<< 16, to: Lanes.self)
    }

    /// Writes the first `count` lanes.
    @inline(__always) func store(_ target: UnsafeMutablePointer<Float>, count: Int) {
        for i in 0..<count { target[i] = self[i] }
    }

    /// The sum of the lanes, in a fixed order.
    @inline(__always) var total: Float {
        let half = lowHalf + highHalf
        let quarter = half.lowHalf + half.highHalf
        return quarter[0] + quarter[1]
    }

    @inline(__always) var largest: Float {
        let half = peft_max(self, Lanes(lowHalf: highHalf, highHalf: highHalf))
        return Swift.max(Swift.max(half[0], half[1]), Swift.max(half[2], half[3]))
    }

    @inline(__always) var magnitude: Lanes {
        unsafeBitCast(unsafeBitCast(self, to: SIMD8<UInt32>.self) & 0x7FFF_FFFF, to: Lanes.self)
    }

    /// The magnitude of this with the sign of `other`.
    @inline(__always) func signed(like other: Lanes) -> Lanes {
        let sign = unsafeBitCast(other, to: SIMD8<UInt32>.self) & 0x8000_0000
        return unsafeBitCast(unsafeBitCast(magnitude, to: SIMD8<UInt32>.self) | sign, to: Lanes.self)
    }
}

/// a · x + b.
@inline(__always) func fma(_ a: Lanes, _ x: Lanes, _ b: Float) -> Lanes {
    Lanes(repeating: b).addingProduct(a, x)
}

/// eˣ as p · 2ⁿ with the parts apart: n = round(x / ln 2) as an integer, p = e^(x − n ln 2).
///
/// Adding 1.5 · 2²³ leaves the rounded integer in the lowest bits of the sum; conversions aren't vectorised.
@inline(__always) private func splitExponential(_ x: Lanes) -> (fraction: Lanes, exponent: SIMD8<Int32>) {
    let magic: Float = 12_582_912
    let shifted = fma(x, Lanes(repeating: 1.442_695_04), magic)
    let n = shifted - magic
    // ln 2 in two parts, the first with few bits, so that n · ln 2 is exact.
    let r = x.addingProduct(n, Lanes(repeating: -0.693_359_375)).addingProduct(n, Lanes(repeating: 2.121_944_4e-4))
    var p = fma(Lanes(repeating: 0.001_381_455_8), r, 0.008_368_736)
    p = fma(p, r, 0.041_668_39)
    p = fma(p, r, 0.166_665_21)
    p = fma(p, r, 0.499_999_94)
    let fraction = (r + 1).addingProduct(p, r * r)
    return (fraction, unsafeBitCast(shifted, to: SIMD8<Int32>.self) &- 0x4B40_0000)
}

@inline(__always) private func powerOfTwo(_ exponent: SIMD8<Int32>) -> Lanes {
    unsafeBitCast((exponent &+ 127) &<< 23, to: Lanes.self)
}

/// eˣ, down to the smallest subnormal number and up to infinity; within 1.5e-7.
@inline(__always) package func exponential(_ x: Lanes) -> Lanes {
    let limited = peft_min(Lanes(repeating: 89), peft_max(Lanes(repeating: -105), x))
    let (fraction, n) = splitExponential(limited)
    let half = n &>> 1
    return fraction * powerOfTwo(half) * powerOfTwo(n &- half)
}

/// eˣ for x ≤ 0, and 0 where it would be below the smallest normal number; `softmax.c` has the same for sixteen.
@inline(__always) package func exponentialOfNonPositive(_ x: Lanes) -> Lanes {
    let limited = peft_max(Lanes(repeating: -87.336_54), x)
    let (fraction, n) = splitExponential(limited)
    return peft_where_less(x, Lanes(repeating: -87.336_54), Lanes(repeating: 0), fraction * powerOfTwo(n))
}

/// 1 / (1 + e⁻ˣ).
@inline(__always) package func sigmoid(_ x: Lanes) -> Lanes { 1 / (1 + exponential(-x)) }

/// tanh x: an odd polynomial (Cephes) where |x| < 0.625, 1 − 2 / (e²ˣ + 1) beyond.
@inline(__always) package func hyperbolicTangent(_ x: Lanes) -> Lanes {
    let z = x * x
    var p = fma(Lanes(repeating: -5.704_988_7e-3), z, 2.063_908_9e-2)
    p = fma(p, z, -5.373_971_6e-2)
    p = fma(p, z, 1.333_144_2e-1)
    p = fma(p, z, -3.333_328_2e-1)
    let small = x.addingProduct(p * z, x)
    let size = x.magnitude
    let large = (1 - 2 / (exponential(size + size) + 1)).signed(like: x)
    return peft_where_less(size, Lanes(repeating: 0.625), small, large)
}

/// erfc(x) · eˣ² for x ≥ 0, as t · polynomial(t) with t = 1 / (1 + 0.4 x); fitted on 0...10, where it is within 1e-7.
@inline(__always) private func scaledComplement(_ x: Lanes) -> Lanes {
    let t = 1 / fma(x, Lanes(repeating: 0.4), 1)
    var p = fma(Lanes(repeating: 0.041_253_332), t, -0.140_320_63)
    p = fma(p, t, 0.083_990_104)
    p = fma(p, t, 0.087_961_204)
    p = fma(p, t, 0.079_758_57)
    p = fma(p, t, 0.193_392_35)
    p = fma(p, t, 0.201_887_8)
    p = fma(p, t, 0.226_443_08)
    p = fma(p, t, 0.225_634_23)
    return p * t
}

/// erf(x) / x as a polynomial in z = x², for |x| ≤ 1.
@inline(__always) private func errorQuotient(_ z: Lanes) -> Lanes {
    var p = fma(Lanes(repeating: 7.853_858e-5), z, -8.010_192_5e-4)
    p = fma(p, z, 5.188_327_7e-3)
    p = fma(p, z, -2.685_381_1e-2)
    p = fma(p, z, 0.112_835_854)
    p = fma(p, z, -0.376_126_26)
    return fma(p, z, 1.128_379_1)
}

/// exp(factor · x²), with the rounding error of the square made good; factor is a negative power of two.
@inline(__always) private func gaussian(_ x: Lanes, factor: Float) -> Lanes {
    let square = x * x
    let lost = (-square).addingProduct(x, x) * factor
    let value = exponential(square * factor)
    return value.addingProduct(value, lost)
}

/// erf x: an odd polynomial where |x| < 1, 1 − erfc |x| beyond.
@inline(__always) package func errorFunction(_ x: Lanes) -> Lanes {
    // Beyond 11 the complement is 0 anyway, and the bound keeps ∞ · 0 away.
    let size = peft_min(Lanes(repeating: 11), x.magnitude)
    let beyond = (1 - gaussian(size, factor: -1) * scaledComplement(size)).signed(like: x)
    return peft_where_less(x.magnitude, Lanes(repeating: 1), errorQuotient(x * x) * x, beyond)
}

/// Φ(x) = erfc(−x / √2) / 2, the standard normal distribution, and its density φ(x). Φ is within 5e-7 relative to itself in
/// its lower tail too, where 1 + erf would leave nothing.
@inline(__always) package func normalDistribution(_ x: Lanes) -> (cumulative: Lanes, density: Lanes) {
    let size = peft_min(Lanes(repeating: 15), x.magnitude)
    let decay = gaussian(size, factor: -0.5)
    let tail = decay * scaledComplement(size * 0.707_106_77) * 0.5
    let outer = peft_where_less(x, Lanes(repeating: 0), tail, 1 - tail)
    let inner = fma(errorQuotient(size * size * 0.5), x * 0.353_553_39, 0.5)
    return (peft_where_less(x.magnitude, Lanes(repeating: 0.7), inner, outer), decay * 0.398_942_28)
}
