import Checkpoints
import Tensors
import TestSupport
import Testing

@Suite("Half-precision numbers") struct FloatConversionTests {
    /// A tensor `w` with all 65,536 patterns.
    private func allPatterns(_ type: ElementType) throws -> [Float] {
        let header = #"{"w":{"dtype":"\#(type)","shape":[65536],"data_offsets":[0,131072]}}"#
        let bytes = safetensors(header) + (0..<65536).flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
        return try SafetensorsFile(bytes: bytes, path: "x", warn: noWarnings).tensor(named: "w").values
    }

    /// The value of a pattern after IEEE 754: (-1)^sign × 2^(exponent − bias) × 1.fraction.
    private func value(_ pattern: Int, fractionBits: Int, bias: Int) -> Double {
        let largest = (1 << (15 - fractionBits)) - 1
        let sign: FloatingPointSign = pattern >> 15 == 1 ? .minus : .plus
        let exponent = (pattern & 0x7FFF) >> fractionBits
        let fraction = pattern & ((1 << fractionBits) - 1)
        if exponent == largest {
            return fraction == 0 ? (sign == .minus ? -.infinity : .infinity) : .nan
        }
        let significand = Double(exponent == 0 ? fraction : fraction + (1 << fractionBits))
        let magnitude = Double(sign: .plus, exponent: max(1, exponent) - bias - fractionBits, significand: significand)
        return sign == .minus ? -magnitude : magnitude
    }

    @Test("have the values of IEEE 754, all 65,536", arguments: [(ElementType.float16, 10, 15), (.bfloat16, 7, 127)])
    func values(_ type: ElementType, _ fractionBits: Int, _ bias: Int) throws {
        for (pattern, float) in try allPatterns(type).enumerated() {
            let expected = value(pattern, fractionBits: fractionBits, bias: bias)
            let isEqual = expected.isNaN ? float.isNaN : Double(float).bitPattern == expected.bitPattern
            if !isEqual { Issue.record("\(type) \(pattern) is \(float), not \(expected)") }
        }
    }

    @Test("come back from floats as they were, all 65,536", arguments: [ElementType.float16, .bfloat16])
    func roundTrip(_ type: ElementType) throws {
        let values = try allPatterns(type)
        let bytes = try SafetensorsWriter.bytes([OutgoingTensor("w", Tensor(values, shape: [65536]), as: type)])
        for (pattern, float) in values.enumerated() {
            let written =
                Int(bytes[bytes.count - 131072 + 2 * pattern]) | Int(bytes[bytes.count - 131071 + 2 * pattern]) << 8
            // Signalling NaN become quiet ones.
            let expected = float.isNaN ? pattern | (type == .float16 ? 0x200 : 0x40) : pattern
            if written != expected { Issue.record("\(type) \(pattern) came back as \(written)") }
        }
    }

    @Test("are refused where a finite value would become infinite")
    func overflow() throws {
        func write(_ value: Float, _ type: ElementType) -> String {
            complaint {
                _ = try SafetensorsWriter.bytes(
                    [OutgoingTensor("w", Tensor([0, value, .infinity, .nan], shape: [4]), as: type)])
            }
        }
        #expect(write(65519.996, .float16) == "no error")
        #expect(write(-65520, .float16) == "error: w: the value -65520.0 is too large for F16: write F32 instead")
        #expect(write(3.3895314e38, .bfloat16) == "no error")
        #expect(write(3.4e38, .bfloat16) == "error: w: the value 3.4e+38 is too large for BF16: write F32 instead")
    }
}
