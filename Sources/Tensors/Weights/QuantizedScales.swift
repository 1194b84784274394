import Diagnostics

/// Memory of a tensor's codes and the like, which nobody writes once it is filled.
final class CodeMemory: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer

    init(count: Int) {
        if count > BufferPool.largest { endWithoutMemory("\(count) bytes of codes") }
        bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, count), alignment: 64)
    }

    var codes: UnsafeMutablePointer<UInt8> {
        bytes.baseAddress.map { $0.assumingMemoryBound(to: UInt8.self) } ?? UnsafeMutablePointer(bitPattern: 64)!
    }

    deinit { bytes.deallocate() }
}

/// The scales of a quantized weight: one for each block of elements in the order of rows, or for each row.
public enum QuantizedScales: Sendable {
    case floats([Float])
    /// Block k's is `map[codes[k]] * scales[k / 256] + offset`.
    case nested(codes: [UInt8], scales: [Float], map: [Float], offset: Float)

    /// How many there are.
    public var count: Int {
        switch self {
        case .floats(let scales): scales.count
        case .nested(let codes, _, _, _): codes.count
        }
    }

    /// As they are multiplied by.
    public var values: [Float] {
        switch self {
        case .floats(let scales): scales
        case .nested(let codes, let scales, let map, let offset):
            codes.indices.map { index in
                let scale = map[Int(codes[index])] * scales[index / Quantization.nestedBlockSize]
                return scale + offset
            }
        }
    }

    /// Quantizes magnitudes in blocks of 256 (QLoRA, section 3), as bitsandbytes 0.50.2 does on a CPU.
    ///
    /// - Parameter offset: What is subtracted from all; nil takes their mean.
    public static func nesting(_ magnitudes: [Float], offset given: Float?) -> QuantizedScales {
        let offset = given ?? Float(magnitudes.reduce(0.0) { $0 + Double($1) } / Double(max(1, magnitudes.count)))
        let (map, blockSize) = (DynamicMap.signed.values, Quantization.nestedBlockSize)
        var codes = [UInt8](repeating: 0, count: magnitudes.count)
        var scales: [Float] = []
        for start in stride(from: 0, to: magnitudes.count, by: blockSize) {
            let block = start..<min(magnitudes.count, start + blockSize)
            let scale = block.reduce(Float(0)) { max($0, (magnitudes[$1] - offset).magnitude) }
            scales.append(scale)
            if scale == 0 { continue }
            let factor = 1 / scale
            for index in block { codes[index] = DynamicMap.tableCode((magnitudes[index] - offset) * factor) }
        }
        return .nested(codes: codes, scales: scales, map: map, offset: offset)
    }
}

extension DynamicMap {
    private static let middles = zip(signed.values, signed.values.dropFirst()).map { 0.5 * ($0 + $1) }

    /// bitsandbytes looks codes up in a table of 65,536 steps.
    private static let table: [UInt8] = {
        var code = 0
        return (0..<65_536).map { index in
            let value = Float(-1) + 2 * Float(index) / 65_535
            while code < middles.count, middles[code] < value { code += 1 }
            return UInt8(code)
        }
    }()

    static func tableCode(_ value: Float) -> UInt8 {
        // 0 beside the smallest of numbers, whose reciprocal is infinite; bitsandbytes has the first code for it.
        if value.isNaN { return 0 }
        let index = (value + 1) * 0.5 * 65_535 + 0.5
        return table[Int(max(0, min(65_535, index)))]
    }
}
