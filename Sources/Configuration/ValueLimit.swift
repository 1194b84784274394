/// The values that a key takes; the ranges of the standard library, or `Above`.
public protocol ValueLimit<Bound> {
    associatedtype Bound: Comparable

    func contains(_ value: Bound) -> Bool
    /// As it follows "must be": `at least 1`.
    var requirement: String { get }
}

extension PartialRangeFrom: ValueLimit {
    public var requirement: String { "at least \(lowerBound)" }
}

extension PartialRangeThrough: ValueLimit {
    public var requirement: String { "at most \(upperBound)" }
}

extension PartialRangeUpTo: ValueLimit {
    public var requirement: String { "less than \(upperBound)" }
}

extension ClosedRange: ValueLimit {
    public var requirement: String { "between \(lowerBound) and \(upperBound)" }
}

extension Range: ValueLimit {
    public var requirement: String { "at least \(lowerBound) and less than \(upperBound)" }
}

/// The values greater than a bound.
public struct Above<Bound: Comparable>: ValueLimit {
    public let bound: Bound

    public init(_ bound: Bound) { self.bound = bound }

    public func contains(_ value: Bound) -> Bool { value > bound }
    public var requirement: String { "more than \(bound)" }
}
