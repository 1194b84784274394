import Diagnostics

/// A dense array of bytes in row-major order, such as codes of 8 bits.
public final class ByteTensor: @unchecked Sendable {
    public let shape: [Int]
    /// The product of the shape.
    public let count: Int
    /// The first element. Valid while this object lives.
    public let data: UnsafeMutablePointer<UInt8>
    private let owner: AnyObject

    /// Bytes of 0 in memory of their own.
    public init(zeros shape: [Int]) {
        let count = Self.count(of: shape)
        let memory = Tensor(zeros: [(count + 3) / 4])
        (self.shape, self.count, owner) = (shape, count, memory)
        data = UnsafeMutableRawPointer(memory.data).bindMemory(to: UInt8.self, capacity: count)
    }

    /// Bytes in memory that `owner` keeps alive.
    public init(_ base: UnsafeMutableRawPointer, shape: [Int], owner: AnyObject) {
        let count = Self.count(of: shape)
        (self.shape, self.count, self.owner) = (shape, count, owner)
        data = base.bindMemory(to: UInt8.self, capacity: count)
    }

    private static func count(of shape: [Int]) -> Int {
        guard let count = Int.product(of: shape), count >= 0 else { defect("ByteTensor: shape \(shape)") }
        return count
    }

    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: data, count: count) }
}
