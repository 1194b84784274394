import Diagnostics

/// A constant array of numbers of 16 bits in row-major order, read where it lies, such as in a mapped file.
public final class HalfTensor: StoredTensor, @unchecked Sendable {
    public let shape: [Int]
    public let format: HalfFormat
    /// The first element. Valid while the tensor lives.
    package let data: UnsafePointer<UInt16>
    private let owner: AnyObject

    /// An array over memory that `owner` keeps alive and that nobody writes.
    public init(_ data: UnsafePointer<UInt16>, _ format: HalfFormat, shape: [Int], owner: AnyObject) {
        require(Int.product(of: shape) != nil, "HalfTensor: shape \(shape)")
        self.data = data
        self.format = format
        self.shape = shape
        self.owner = owner
    }

    public var floats: Tensor {
        let tensor = Tensor(uninitialized: shape)
        convertHalves(data, format, to: tensor.data, count: tensor.count)
        return tensor
    }

    public func weight(isInputByOutput: Bool) -> any BaseWeight { HalfWeight(self, isInputByOutput: isInputByOutput) }

    public var lender: (any MemoryLender)? { owner as? any MemoryLender }

    public func releasePages() {
        lender?.releasePages(of: UnsafeRawBufferPointer(start: data, count: 2 * count))
    }

    public func copyRow(_ index: Int, to target: UnsafeMutablePointer<Float>) {
        require(index >= 0 && index < rowCount, "copyRow: row \(index) of \(shape)")
        format.convert(data + index * columnCount, to: target, count: columnCount)
    }

    public func addRow(_ index: Int, to target: UnsafeMutablePointer<Float>) {
        let width = columnCount
        withUnsafeTemporaryAllocation(of: Float.self, capacity: width) { row in
            guard let row = row.baseAddress else { return }
            copyRow(index, to: row)
            addRows(target, row, into: target, count: width)
        }
    }
}
