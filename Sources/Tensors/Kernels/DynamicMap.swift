import Diagnostics

/// The dynamic map of 8 bits (Dettmers 2015, 8-Bit Approximations for Parallelism in Deep Learning, section 2.1): 0, 1, and
/// in each of seven decades below 1 twice as many evenly spaced numbers as in the one below.
package struct DynamicMap: @unchecked Sendable {
    /// With negative numbers too: for an optimizer's first moment, and scales of scales.
    package static let signed = DynamicMap(isSigned: true)
    /// With positive numbers alone, twice as many, for the second moment.
    package static let unsigned = DynamicMap(isSigned: false)

    /// Ascending.
    package let values: [Float]
    /// The same, for kernels; it lives as long as the process.
    let table: UnsafePointer<Float>
    /// For each range of magnitudes that share their upper bits the rank of its first one, in the upper bits, and in the
    /// lower ones those of the largest magnitude that has this rank.
    let cells: UnsafePointer<UInt32>
    let firstCell: Int32

    /// Smaller magnitudes all have rank 0.
    static let smallest: Float = 0x1p-24

    init(isSigned: Bool) {
        let positive = Self.positiveValues(isSigned: isSigned)
        values = isSigned ? positive.reversed().map { -$0 } + [0] + positive + [1] : [0] + positive + [1]
        let magnitudes = [0] + positive + [1]
        require(values.count == 256, "DynamicMap: \(values.count) values")
        let memory = UnsafeMutablePointer<Float>.allocate(capacity: 256)
        memory.initialize(from: values, count: 256)
        table = UnsafePointer(memory)
        // The shifts of `peft_encode_signed` and `peft_encode_unsigned`.
        (firstCell, cells) = Self.cells(magnitudes, shift: isSigned ? 17 : 16)
    }

    /// In each power of ten the middles between evenly spaced numbers, in the reference's order of operations.
    private static func positiveValues(isSigned: Bool) -> [Float] {
        let powers: [Float] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]
        return powers.enumerated().flatMap { exponent, power -> [Float] in
            let count = (isSigned ? 1 << exponent : 2 << exponent) + 1
            let step = (1 - Float(0.1)) / Float(count - 1)
            let bounds = (0..<count).map { k -> Float in
                k < count / 2
                    ? Float(0.1).addingProduct(step, Float(k)) : Float(1).addingProduct(-step, Float(count - 1 - k))
            }
            return zip(bounds, bounds.dropFirst()).map { ($0 + $1) / 2 * power }
        }
    }

    /// Magnitudes rank by the nearest value, the lower one where two are as near.
    private static func cells(
        _ magnitudes: [Float], shift: UInt32
    ) -> (first: Int32, cells: UnsafePointer<UInt32>) {
        // The largest float that still has the lower rank; the middle of two floats is exact as a double.
        let bounds = zip(magnitudes, magnitudes.dropFirst()).map { lower, upper -> Float in
            let middle = (Double(lower) + Double(upper)) / 2
            let rounded = Float(middle)
            return Double(rounded) > middle ? rounded.nextDown : rounded
        }
        let first = smallest.bitPattern >> shift
        let count = Int((Float(1).bitPattern >> shift) - first) + 1
        let mask = (UInt32(1) << shift) - 1
        let cells = UnsafeMutablePointer<UInt32>.allocate(capacity: count)
        for cell in 0..<count {
            let start = Float(bitPattern: (first + UInt32(cell)) << shift)
            let end = Float(bitPattern: start.bitPattern | mask)
            let rank = bounds.filter { $0 < start }.count
            let within = bounds.filter { $0 >= start && $0 <= end }
            require(within.count <= 1, "DynamicMap: \(within) in one cell")
            cells[cell] = UInt32(rank) << shift | (within.first?.bitPattern ?? mask) & mask
        }
        return (Int32(first), UnsafePointer(cells))
    }
}
