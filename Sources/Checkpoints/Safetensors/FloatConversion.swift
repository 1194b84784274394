import Diagnostics
import Tensors

/// Elements that one part of a conversion handles: large enough that sharing out costs nothing, small enough for caches.
private let conversionGrain = 1 << 16

/// Converts `count` stored numbers at any address into floats.
func convertToFloat(
    _ source: UnsafeRawBufferPointer, _ type: ElementType, to target: UnsafeMutablePointer<Float>, count: Int
) {
    guard count > 0, let base = source.baseAddress else { return }
    let table = type.bitCount == 8 ? eightBitValues(of: type) : []
    WorkerPool.shared.run(over: count, grain: conversionGrain) { range in
        let part = base + range.lowerBound * (type.bitCount / 8)
        let target = target + range.lowerBound
        switch type {
        case .float32: UnsafeMutableRawPointer(target).copyMemory(from: part, byteCount: range.count * 4)
        case .bfloat16: HalfFormat.bfloat16.convert(part, to: target, count: range.count)
        case .float16: HalfFormat.float16.convert(part, to: target, count: range.count)
        case .float64:
            for i in 0..<range.count {
                target[i] = Float(part.loadUnaligned(fromByteOffset: i * 8, as: Double.self))
            }
        case .float8E4M3, .float8E5M2, .float8E8M0, .float8E4M3FNUZ, .float8E5M2FNUZ:
            for i in 0..<range.count {
                target[i] = table[Int(part.load(fromByteOffset: i, as: UInt8.self))]
            }
        default: defect("convertToFloat: elements of type \(type)")
        }
    }
}

/// The value of each of the 256 patterns of an eight-bit type (OCP 8-bit floating point, 2023; the FNUZ variants of
/// Noune et al. 2022 have one zero, and NaN in the place of -0).
private func eightBitValues(of type: ElementType) -> [Float] {
    (0..<256).map { pattern in
        if type == .float8E8M0 {
            return pattern == 255 ? .nan : Float(sign: .plus, exponent: pattern - 127, significand: 1)
        }
        let isE4M3 = type == .float8E4M3 || type == .float8E4M3FNUZ
        let isUnsignedZero = type == .float8E4M3FNUZ || type == .float8E5M2FNUZ
        let fractionBits = isE4M3 ? 3 : 2
        let bias = (isE4M3 ? 7 : 15) + (isUnsignedZero ? 1 : 0)
        let exponent = (pattern & 0x7F) >> fractionBits
        let fraction = pattern & ((1 << fractionBits) - 1)
        let magnitude =
            exponent == 0
            ? Float(sign: .plus, exponent: 1 - bias - fractionBits, significand: Float(fraction))
            : Float(
                sign: .plus, exponent: exponent - bias - fractionBits,
                significand: Float(fraction + (1 << fractionBits)))
        let isNegative = pattern >= 128
        switch type {
        case .float8E4M3 where pattern & 0x7F == 0x7F: return .nan
        case .float8E5M2 where exponent == 31:
            return fraction == 0 ? (isNegative ? -Float.infinity : .infinity) : .nan
        case .float8E4M3FNUZ where pattern == 128, .float8E5M2FNUZ where pattern == 128: return .nan
        default: return isNegative ? -magnitude : magnitude
        }
    }
}
