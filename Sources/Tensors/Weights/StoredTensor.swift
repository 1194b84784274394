import Diagnostics
import Synchronization

/// The elements of a parameter, however they are kept in memory.
public protocol StoredTensor: AnyObject {
    var shape: [Int] { get }

    /// The elements as floats: the tensor itself where it is one, otherwise converted anew at each call.
    var floats: Tensor { get }

    /// A linear layer's weight that reads the elements as they are kept, [inputs, outputs] or [outputs, inputs].
    func weight(isInputByOutput: Bool) -> any BaseWeight

    /// The first element that is NaN or infinite; nil where all are finite numbers.
    var firstNonFinite: NonFiniteElement? { get }

    /// Who lends the elements' memory, which can be given back and had again, such as a mapped file; nil otherwise.
    var lender: (any MemoryLender)? { get }

    /// Gives memory back that can be had again, where the elements lie in a mapped file: for whoever has copied them.
    func releasePages()

    /// target ← row `index` of all rows of the last dimension.
    func copyRow(_ index: Int, to target: UnsafeMutablePointer<Float>)

    /// target ← target + row `index`.
    func addRow(_ index: Int, to target: UnsafeMutablePointer<Float>)
}

extension StoredTensor {
    public var count: Int { shape.reduce(1, *) }
    public var columnCount: Int { shape.last ?? 1 }
    public var rowCount: Int { shape.dropLast().reduce(1, *) }
    public var isMapped: Bool { lender != nil }
}

extension StoredTensor {
    /// Whether both hold the same numbers, however they are kept.
    public func isEqual(to other: any StoredTensor) -> Bool {
        guard shape == other.shape else { return false }
        let differs = Atomic<Bool>(false)
        let width = columnCount
        nonisolated(unsafe) let (first, second) = (self, other)
        WorkerPool.shared.run(over: rowCount, grain: max(1, elementGrain / max(1, width))) { rows in
            if differs.load(ordering: .relaxed) { return }
            withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * width) { buffer in
                guard let a = buffer.baseAddress else { return }
                let b = a + width
                for row in rows {
                    first.copyRow(row, to: a)
                    second.copyRow(row, to: b)
                    for i in 0..<width where a[i] != b[i] { return differs.store(true, ordering: .relaxed) }
                }
            }
        }
        return !differs.load(ordering: .relaxed)
    }
}

extension Tensor: StoredTensor {
    public var floats: Tensor { self }

    public func weight(isInputByOutput: Bool) -> any BaseWeight { DenseWeight(self, isInputByOutput: isInputByOutput) }

    public var lender: (any MemoryLender)? { storage.owner as? any MemoryLender }

    public func releasePages() {
        lender?.releasePages(of: UnsafeRawBufferPointer(start: data, count: 4 * count))
    }

    public func copyRow(_ index: Int, to target: UnsafeMutablePointer<Float>) {
        require(index >= 0 && index < rowCount, "copyRow: row \(index) of \(shape)")
        target.update(from: data + index * columnCount, count: columnCount)
    }

    public func addRow(_ index: Int, to target: UnsafeMutablePointer<Float>) {
        require(index >= 0 && index < rowCount, "addRow: row \(index) of \(shape)")
        addRows(target, data + index * columnCount, into: target, count: columnCount)
    }
}
