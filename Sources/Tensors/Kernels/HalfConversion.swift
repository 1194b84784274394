/// Formats of 16 bits, whose numbers are all floats too.
public enum HalfFormat: Sendable {
    /// The upper half of a float.
    case bfloat16
    /// IEEE 754 binary16.
    case float16

    /// Converts `count` numbers at any address, on the calling thread.
    @inline(__always)
    package func convert(_ source: UnsafeRawPointer, to target: UnsafeMutablePointer<Float>, count: Int) {
        switch self {
        case .bfloat16: widen(source, to: target, count) { $0 &<< 16 }
        case .float16: widen(source, to: target, count, floatBits(float16:))
        }
    }
}

/// Converts `count` numbers of 16 bits at any address, on all threads.
package func convertHalves(
    _ source: UnsafeRawPointer, _ format: HalfFormat, to target: UnsafeMutablePointer<Float>, count: Int
) {
    WorkerPool.shared.run(over: count, grain: conversionGrain) { range in
        format.convert(source + 2 * range.lowerBound, to: target + range.lowerBound, count: range.count)
    }
}

/// Elements that one part of a conversion handles: large enough that sharing out costs nothing, small enough for caches.
private let conversionGrain = 1 << 16

private typealias Words = SIMD8<UInt32>

@inline(__always) private func widen(
    _ source: UnsafeRawPointer, to target: UnsafeMutablePointer<Float>, _ count: Int, _ widened: (Words) -> Words
) {
    let output = UnsafeMutableRawPointer(target)
    var i = 0
    while i + 8 <= count {
        let halves = source.loadUnaligned(fromByteOffset: i * 2, as: SIMD8<UInt16>.self)
        output.storeBytes(of: widened(Words(truncatingIfNeeded: halves)), toByteOffset: i * 4, as: Words.self)
        i += 8
    }
    while i < count {
        let half = source.loadUnaligned(fromByteOffset: i * 2, as: UInt16.self)
        target[i] = Float(bitPattern: widened(Words(repeating: UInt32(half)))[0])
        i += 1
    }
}

/// The bits of the floats that equal the given half-precision numbers.
///
/// Shifted into place, the bits mean 2^-112 of the value, also where it is subnormal; the product with 2^112 is exact.
/// Infinities and NaN, whose exponent is all ones, get a float's.
@inline(__always) private func floatBits(float16 half: Words) -> Words {
    let magnitude = (half & 0x7FFF) &<< 13
    let scaled = unsafeBitCast(magnitude, to: SIMD8<Float>.self) * 0x1p112
    let bits = unsafeBitCast(scaled, to: Words.self)
    let isSpecial = magnitude .>= Words(repeating: 0x7C00 &<< 13)
    return bits.replacing(with: magnitude | 0x7F80_0000, where: isSpecial) | ((half & 0x8000) &<< 16)
}
