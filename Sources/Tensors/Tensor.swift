import Diagnostics

/// A dense array of 32-bit floats in row-major order, and where it stands in the record of a computation.
///
/// Operations return new tensors and record how to go back only where one of their inputs needs a gradient, so a
/// computation on frozen tensors leaves no trace and keeps no memory.
public final class Tensor: @unchecked Sendable {
    public let shape: [Int]
    let storage: TensorStorage
    /// The place of this tensor in the recorded computation; nil where no gradient flows.
    public internal(set) var node: GradientNode?

    public var count: Int { storage.count }
    /// The number of elements of the last dimension, and of all the others together.
    public var columnCount: Int { shape.last ?? 1 }
    public var rowCount: Int { shape.isEmpty ? 1 : shape.dropLast().reduce(1, *) }
    /// Whether the memory belongs to something else, a mapped file say, and must not be written.
    public var isReadOnly: Bool { storage.isReadOnly }

    init(shape: [Int], storage: TensorStorage, node: GradientNode? = nil) {
        require(Int.product(of: shape) == storage.count, "Tensor: shape \(shape) for \(storage.count) elements")
        self.shape = shape
        self.storage = storage
        self.node = node
    }

    /// Elements with arbitrary content, to be written by whoever asked.
    public convenience init(uninitialized shape: [Int]) {
        self.init(shape: shape, storage: TensorStorage(shape: shape))
    }

    public convenience init(zeros shape: [Int]) {
        self.init(repeating: 0, shape)
    }

    public convenience init(repeating value: Float, _ shape: [Int]) {
        self.init(uninitialized: shape)
        data.update(repeating: value, count: count)
    }

    public convenience init(_ values: some Collection<Float>, shape: [Int]) {
        require(Int.product(of: shape) == values.count, "Tensor: \(values.count) values for shape \(shape)")
        self.init(uninitialized: shape)
        _ = UnsafeMutableBufferPointer(start: data, count: count).update(from: values)
    }

    /// A tensor over memory that `owner` keeps alive and that nobody writes.
    public convenience init(readOnly base: UnsafePointer<Float>, shape: [Int], owner: AnyObject) {
        guard let count = Int.product(of: shape) else { defect("Tensor: shape \(shape)") }
        self.init(shape: shape, storage: TensorStorage(readOnly: base, count: count, owner: owner))
    }

    /// A tensor over memory that `owner` keeps alive and that only this tensor's user writes.
    public convenience init(writable base: UnsafeMutablePointer<Float>, shape: [Int], owner: AnyObject) {
        guard let count = Int.product(of: shape) else { defect("Tensor: shape \(shape)") }
        self.init(shape: shape, storage: TensorStorage(writable: base, count: count, owner: owner))
    }

    /// The first element. Valid while the tensor lives; only whoever just made a tensor writes to it, and optimizers.
    public var data: UnsafeMutablePointer<Float> { storage.base }

    public var values: [Float] { Array(UnsafeBufferPointer(start: data, count: count)) }

    /// The same elements under another shape, sharing memory, without record.
    public func reshaped(_ shape: [Int]) -> Tensor { Tensor(shape: shape, storage: storage) }

    /// The same elements, sharing memory, as a constant.
    public func detached() -> Tensor { Tensor(shape: shape, storage: storage) }

    /// Consecutive rows, sharing memory, as a constant.
    func rows(_ start: Int, _ count: Int) -> Tensor {
        require(
            start >= 0 && count >= 0 && start <= rowCount && count <= rowCount - start,
            "rows: \(count) from \(start) of \(shape)")
        let part = TensorStorage(readOnly: data + start * columnCount, count: count * columnCount, owner: storage)
        return Tensor(shape: [count, columnCount], storage: part)
    }

    /// Consecutive elements in row-major order, sharing memory, as a constant of one dimension.
    public func elements(_ range: Range<Int>) -> Tensor {
        require(range.lowerBound >= 0 && range.upperBound <= count, "elements: \(range) of \(shape)")
        return Tensor(shape: [range.count], storage: TensorStorage(partOf: storage, range))
    }

    /// A copy in memory of its own, without record.
    public func copy() -> Tensor {
        let copy = Tensor(uninitialized: shape)
        copy.data.update(from: data, count: count)
        return copy
    }
}
