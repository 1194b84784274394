import Diagnostics

/// The elements of a parameter, however they are kept in memory.
public protocol StoredTensor: AnyObject {
    var shape: [Int] { get }

    /// The elements as floats: the tensor itself where it is one, otherwise converted anew at each call.
    var floats: Tensor { get }

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
}

extension Tensor: StoredTensor {
    public var floats: Tensor { self }

    public func releasePages() {
        (storage.owner as? any MemoryLender)?.releasePages(of: UnsafeRawBufferPointer(start: data, count: 4 * count))
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
