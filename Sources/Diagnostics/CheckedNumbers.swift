// The one way of numbers that a file or an option gives into arithmetic that would trap.

extension Int {
    /// The product of sizes; nil where one of them is negative, or the product is more than an integer holds.
    @inlinable
    public static func product(of sizes: [Int]) -> Int? {
        var product = 1
        for size in sizes {
            let (next, overflows) = product.multipliedReportingOverflow(by: size)
            if overflows || size < 0 { return nil }
            product = next
        }
        return product
    }

    /// The integer that is nearest to `value` towards zero, the smallest or the largest one where there is none that near;
    /// 0 for what is no number.
    public init(clamping value: Double) {
        self = Int(exactly: value.rounded(.towardZero)) ?? (value.isNaN ? 0 : value < 0 ? .min : .max)
    }

    /// The product, or the largest integer where that is less; of factors that aren't negative.
    public func multipliedClamping(by other: Int) -> Int {
        let (product, overflows) = multipliedReportingOverflow(by: other)
        return overflows ? .max : product
    }

    /// The sum, or the largest integer where that is less; of terms that aren't negative.
    public func addingClamping(_ other: Int) -> Int {
        let (sum, overflows) = addingReportingOverflow(other)
        return overflows ? .max : sum
    }
}
