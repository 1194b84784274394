/// How the weight of a linear layer is kept in 4 or 8 bits, as bitsandbytes 0.50.2 keeps it.
public struct Quantization: Sendable, Hashable {
    public enum Format: String, Sendable, Hashable, CaseIterable {
        /// The quantiles of a normal distribution (Dettmers et al. 2023, QLoRA, Appendix E).
        case nf4
        /// A sign, two bits of exponent and one of mantissa.
        case fp4
        /// Integers, with a scale for each output (Dettmers et al. 2022, LLM.int8(), section 2).
        case int8

        /// The numbers that codes of 4 bits stand for, by code; nil for integers, which stand for themselves.
        public var values: [Float]? { Codebook.of(self)?.values }
    }

    public var format: Format
    /// Elements of 4 bits that share a scale.
    public var blockSize: Int
    /// Whether the scales of 4-bit blocks are quantized too (QLoRA, section 3, Double Quantization).
    public var isDouble: Bool

    public init(_ format: Format, blockSize: Int = 64, isDouble: Bool = false) {
        self.format = format
        self.blockSize = blockSize
        self.isDouble = isDouble && format != .int8
    }

    public static let blockSizes = [32, 64, 128, 256, 512, 1024, 2048, 4096]

    /// Scales that share a scale of their own.
    static let nestedBlockSize = 256

    public var bitsPerElement: Int { format == .int8 ? 8 : 4 }
}

/// The values of sixteen codes.
struct Codebook: Sendable {
    /// By code.
    let values: [Float]
    /// The code of each place in the values' order.
    let order: [UInt8]
    /// Half way between neighbours in that order.
    let bounds: [Float]

    private init(_ values: [Float], order: [UInt8]) {
        self.values = values
        self.order = order
        bounds = (1..<order.count).map { (values[Int(order[$0 - 1])] + values[Int(order[$0])]) / 2 }
    }

    static let normalFloat = Codebook(
        [
            -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
            -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
            0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
        ], order: Array(0..<16))

    static let float = Codebook(
        [0, 0.0625, 8, 12, 4, 6, 2, 3, 0, -0.0625, -8, -12, -4, -6, -2, -3].map { $0 / 12 },
        // Both zeros are neighbours, so what is just above zero gets the second.
        order: [11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3])

    /// nil for integers, which are their own values.
    static func of(_ format: Quantization.Format) -> Codebook? {
        switch format {
        case .nf4: normalFloat
        case .fp4: float
        case .int8: nil
        }
    }

    /// The code of zero.
    var zero: UInt8 { order[bounds.count { $0 < 0 }] }
}
