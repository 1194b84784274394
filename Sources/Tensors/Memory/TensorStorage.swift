import Diagnostics

/// What lends memory to tensors that it can fetch again, such as a mapped file.
public protocol MemoryLender: AnyObject {
    /// Gives back the pages that lie wholly within `memory`; the next reading brings them again.
    func releasePages(of memory: UnsafeRawBufferPointer)
}

/// The memory of one or more tensors: pooled, or a part of something that `owner` keeps alive, such as a mapped file.
public final class TensorStorage: @unchecked Sendable {
    let base: UnsafeMutablePointer<Float>
    let count: Int
    let owner: AnyObject?
    let isReadOnly: Bool

    /// Pooled memory for the elements of a shape, with arbitrary content.
    init(shape: [Int]) {
        count = Self.count(of: shape)
        base = BufferPool.shared.take(bytes: count * 4).assumingMemoryBound(to: Float.self)
        owner = nil
        isReadOnly = false
    }

    /// The number of elements, whose bytes can be counted too.
    @inline(never)
    private static func count(of shape: [Int]) -> Int {
        if let count = Int.product(of: shape), count <= Int.max / 4 { return count }
        require(shape.allSatisfy { $0 >= 0 }, "TensorStorage: shape \(shape)")
        endWithoutMemory("\(shape) numbers")
    }

    /// Foreign memory that is only read and lives as long as `owner`.
    init(readOnly base: UnsafePointer<Float>, count: Int, owner: AnyObject) {
        self.base = UnsafeMutablePointer(mutating: base)
        self.count = count
        self.owner = owner
        isReadOnly = true
    }

    /// Foreign memory that lives as long as `owner`.
    init(writable base: UnsafeMutablePointer<Float>, count: Int, owner: AnyObject) {
        self.base = base
        self.count = count
        self.owner = owner
        isReadOnly = false
    }

    /// A part of other memory, as writable as that.
    init(partOf whole: TensorStorage, _ range: Range<Int>) {
        require(
            range.lowerBound >= 0 && range.upperBound <= whole.count, "TensorStorage: \(range) of \(whole.count)")
        base = whole.base + range.lowerBound
        count = range.count
        owner = whole
        isReadOnly = whole.isReadOnly
    }

    deinit {
        if owner == nil { BufferPool.shared.giveBack(base, bytes: count * 4) }
    }
}
