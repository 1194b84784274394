import Synchronization
import Tensors

/// Signed, since comparing unsigned words takes several instructions; a float's bits without the sign are positive.
private typealias Words = SIMD8<Int32>

/// Elements that one part of a conversion handles.
private let encodingGrain = 1 << 15

/// Converts floats to half precision, rounding to nearest, ties to even; NaN stays NaN.
///
/// Returns a value that was finite and became infinite, or nil.
func convertToFloat16(
    _ source: UnsafePointer<Float>, to target: UnsafeMutablePointer<UInt16>, count: Int
) -> Float? {
    encode(source, to: target, count: count, Half.self)
}

/// Converts floats to the upper halves of their bits, rounding to nearest, ties to even; NaN stays NaN.
///
/// Returns a value that was finite and became infinite, or nil.
func convertToBFloat16(
    _ source: UnsafePointer<Float>, to target: UnsafeMutablePointer<UInt16>, count: Int
) -> Float? {
    encode(source, to: target, count: count, UpperHalf.self)
}

/// A way to round; a type rather than a function, so that it is inlined into the loop that each thread runs.
private protocol Rounding {
    /// From these bits on a finite number becomes infinite.
    static var limit: Int32 { get }
    /// The rounded numbers in the lower halves, zeros above.
    static func narrow(_ bits: Words) -> Words
}

private func encode<Format: Rounding>(
    _ source: UnsafePointer<Float>, to target: UnsafeMutablePointer<UInt16>, count: Int, _: Format.Type
) -> Float? {
    let overflowed = Atomic<Bool>(false)
    WorkerPool.shared.run(over: count, grain: encodingGrain) { range in
        let input = UnsafeRawPointer(source + range.lowerBound)
        let output = UnsafeMutableRawPointer(target + range.lowerBound)
        var overflow = Words(repeating: 0)
        var i = 0
        while i + 8 <= range.count {
            let bits = input.loadUnaligned(fromByteOffset: i * 4, as: Words.self)
            store(Format.narrow(bits), to: output + i * 2)
            overflow |= overflowing(bits, from: Format.limit)
            i += 8
        }
        while i < range.count {
            let bits = Words(repeating: input.load(fromByteOffset: i * 4, as: Int32.self))
            output.storeBytes(
                of: UInt16(truncatingIfNeeded: Format.narrow(bits)[0]), toByteOffset: i * 2, as: UInt16.self)
            overflow |= overflowing(bits, from: Format.limit)
            i += 1
        }
        if overflow != Words(repeating: 0) { overflowed.store(true, ordering: .relaxed) }
    }
    if !overflowed.load(ordering: .relaxed) { return nil }
    return UnsafeBufferPointer(start: source, count: count).first {
        $0.isFinite && $0.magnitude.bitPattern >= UInt32(Format.limit)
    }
}

/// Writes the lower halves of eight words, two to a 64-bit word and then four: the conversion between SIMD types of the
/// standard library goes lane by lane through memory.
@inline(__always) private func store(_ words: Words, to target: UnsafeMutableRawPointer) {
    let wide = unsafeBitCast(words, to: SIMD4<UInt64>.self)
    let pairs = (wide | (wide &>> 16)) & 0xFFFF_FFFF
    target.storeBytes(of: pairs[0] | (pairs[1] << 32), as: UInt64.self)
    target.storeBytes(of: pairs[2] | (pairs[3] << 32), toByteOffset: 8, as: UInt64.self)
}

/// All ones where the condition holds, so that a choice is a few instructions on whole registers.
@inline(__always) private func words(_ condition: SIMDMask<Words>) -> Words { unsafeBitCast(condition, to: Words.self) }

@inline(__always) private func choose(_ condition: SIMDMask<Words>, _ a: Words, _ b: Words) -> Words {
    (words(condition) & a) | (~words(condition) & b)
}

@inline(__always) private func overflowing(_ bits: Words, from limit: Int32) -> Words {
    let magnitude = bits & 0x7FFF_FFFF
    return words(magnitude .>= limit) & words(magnitude .< 0x7F80_0000)
}

private enum Half: Rounding {
    static var limit: Int32 { 0x477F_F000 }

    @inline(__always) static func narrow(_ bits: Words) -> Words {
        let magnitude = bits & 0x7FFF_FFFF
        // The exponent's bias goes from 127 to 15; a carry out of the fraction is right in the exponent.
        let normal = (magnitude &- (112 &<< 23) &+ 0xFFF &+ ((magnitude &>> 13) & 1)) &>> 13
        // The sum with 0.5, whose last bit means 2^-24 as a subnormal's does, is rounded by the addition.
        let sum = unsafeBitCast(magnitude, to: SIMD8<Float>.self) + 0.5
        let subnormal = unsafeBitCast(sum, to: Words.self) &- Int32(bitPattern: Float(0.5).bitPattern)
        let finite = choose(magnitude .< 0x3880_0000, subnormal, normal)
        let infinite = choose(magnitude .>= limit, Words(repeating: 0x7C00), finite)
        let result = choose(magnitude .> 0x7F80_0000, ((magnitude &>> 13) & 0x3FF) | 0x7E00, infinite)
        return result | ((bits &>> 16) & 0x8000)
    }
}

private enum UpperHalf: Rounding {
    static var limit: Int32 { 0x7F7F_8000 }

    @inline(__always) static func narrow(_ bits: Words) -> Words {
        let rounded = (bits &+ 0x7FFF &+ ((bits &>> 16) & 1)) &>> 16
        return choose((bits & 0x7FFF_FFFF) .> 0x7F80_0000, (bits &>> 16) | 0x40, rounded) & 0xFFFF
    }
}
