/// What a file says of one of its tensors.
public struct TensorEntry: Sendable, Hashable {
    public let name: String
    public let elementType: ElementType
    /// Empty for a scalar.
    public let shape: [Int]
    /// The product of the shape.
    public let count: Int
    /// Where the elements stand, in bytes from the start of the file.
    public let byteRange: Range<Int>

    package init(name: String, elementType: ElementType, shape: [Int], count: Int, byteRange: Range<Int>) {
        self.name = name
        self.elementType = elementType
        self.shape = shape
        self.count = count
        self.byteRange = byteRange
    }

    /// `F32 [768, 2304]`
    public var summary: String { "\(elementType) \(shape)" }
}

/// The number of elements of a shape and the bytes that they take; nil where a product overflows, or where packed
/// elements end inside a byte.
func sizes(of shape: [Int], _ elementType: ElementType) -> (count: Int, byteCount: Int)? {
    var count = 1
    for extent in shape {
        let (product, overflow) = count.multipliedReportingOverflow(by: extent)
        if overflow { return nil }
        count = product
    }
    let (bits, overflow) = count.multipliedReportingOverflow(by: elementType.bitCount)
    return overflow || bits % 8 != 0 ? nil : (count, bits / 8)
}
