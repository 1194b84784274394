private typealias Words = SIMD8<UInt32>

/// Converts floats to half precision, rounding to nearest, ties to even; NaN stays NaN.
///
/// Returns the first value that was finite and became infinite, or nil.
func convertToFloat16(
    _ source: UnsafePointer<Float>, to target: UnsafeMutablePointer<UInt16>, count: Int
) -> Float? {
    encode(source, to: target, count: count, half(of:), overflowsFrom: 0x477F_F000)
}

/// Converts floats to the upper halves of their bits, rounding to nearest, ties to even; NaN stays NaN.
///
/// Returns the first value that was finite and became infinite, or nil.
func convertToBFloat16(
    _ source: UnsafePointer<Float>, to target: UnsafeMutablePointer<UInt16>, count: Int
) -> Float? {
    encode(source, to: target, count: count, upperHalf(of:), overflowsFrom: 0x7F7F_8000)
}

@inline(__always) private func encode(
    _ source: UnsafePointer<Float>, to target: UnsafeMutablePointer<UInt16>, count: Int,
    _ narrow: (Words) -> Words, overflowsFrom limit: UInt32
) -> Float? {
    let input = UnsafeRawPointer(source)
    let output = UnsafeMutableRawPointer(target)
    var overflow = Words(repeating: 0)
    var i = 0
    while i + 8 <= count {
        let bits = input.loadUnaligned(fromByteOffset: i * 4, as: Words.self)
        output.storeBytes(
            of: SIMD8<UInt16>(truncatingIfNeeded: narrow(bits)), toByteOffset: i * 2, as: SIMD8<UInt16>.self)
        overflow |= overflowing(bits, from: limit)
        i += 8
    }
    while i < count {
        let bits = Words(repeating: source[i].bitPattern)
        target[i] = UInt16(truncatingIfNeeded: narrow(bits)[0])
        overflow |= overflowing(bits, from: limit)
        i += 1
    }
    if overflow == Words(repeating: 0) { return nil }
    return UnsafeBufferPointer(start: source, count: count).first {
        $0.isFinite && $0.magnitude.bitPattern >= limit
    }
}

@inline(__always) private func overflowing(_ bits: Words, from limit: UInt32) -> Words {
    let magnitude = bits & 0x7FFF_FFFF
    let isOverflowing = (magnitude .>= limit) .& (magnitude .< 0x7F80_0000)
    return Words(repeating: 0).replacing(with: 1, where: isOverflowing)
}

@inline(__always) private func half(of bits: Words) -> Words {
    let magnitude = bits & 0x7FFF_FFFF
    // The exponent's bias goes from 127 to 15; a carry out of the fraction is right in the exponent.
    let normal = (magnitude &- (112 &<< 23) &+ 0xFFF &+ ((magnitude &>> 13) & 1)) &>> 13
    // The sum with 0.5, whose last bit means 2^-24 as a subnormal's does, is rounded by the addition.
    let sum = unsafeBitCast(magnitude, to: SIMD8<Float>.self) + 0.5
    let subnormal = unsafeBitCast(sum, to: Words.self) &- Float(0.5).bitPattern
    var result = normal.replacing(with: subnormal, where: magnitude .< 0x3880_0000)
    result.replace(with: 0x7C00, where: magnitude .>= 0x477F_F000)
    result.replace(with: 0x7E00 | ((magnitude &>> 13) & 0x3FF), where: magnitude .> 0x7F80_0000)
    return result | ((bits &>> 16) & 0x8000)
}

@inline(__always) private func upperHalf(of bits: Words) -> Words {
    let rounded = (bits &+ 0x7FFF &+ ((bits &>> 16) & 1)) &>> 16
    return rounded.replacing(with: (bits &>> 16) | 0x40, where: (bits & 0x7FFF_FFFF) .> 0x7F80_0000)
}
