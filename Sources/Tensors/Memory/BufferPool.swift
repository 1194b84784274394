import Diagnostics
import Glibc
import Host
import Synchronization

/// Keeps the memory of released tensors for the next ones, so that a training step neither asks the kernel for pages nor
/// has them zeroed again.
///
/// What it holds unused never lifts the process above the most that tensors needed at one time, but for a megabyte:
/// before new memory is taken, parts of unused buffers serve where they can, and others are given back until the sum fits
/// under that mark.
package final class BufferPool: Sendable {
    package static let shared = BufferPool()

    private struct State {
        var unused = UnusedBuffers()
        var liveBytes = 0
        var peakLiveBytes = 0
        /// nil where nobody asks.
        var trace: AllocationTrace?
    }

    private let state = Mutex(State())

    /// Sizes grow by an eighth of a power of two at a step, so that batches of changing length still meet buffers
    /// that fit, at most an eighth too large.
    package static func capacity(bytes: Int) -> Int {
        if bytes <= 512 { return max(64, (bytes + 63) & ~63) }
        let top = Int.bitWidth - 1 - (bytes - 1).leadingZeroBitCount
        let step = 1 << max(6, top - 3)
        return (bytes + step - 1) & ~(step - 1)
    }

    /// Memory of at least `bytes` bytes, aligned to a cache line, with arbitrary content.
    package func take(bytes: Int) -> UnsafeMutableRawPointer {
        require(bytes >= 0, "BufferPool: \(bytes) bytes")
        if bytes > Self.largest { endWithoutMemory("\(bytes) bytes for a tensor") }
        let capacity = Self.capacity(bytes: bytes)
        let (kept, isTraced) = takeKept(capacity: capacity)
        let buffer = kept.flatMap { UnsafeMutableRawPointer(bitPattern: $0) } ?? Self.allocate(capacity)
        if isTraced { state.withLock { $0.trace?.take(UInt(bitPattern: buffer), bytes: bytes) } }
        return buffer
    }

    /// An unused buffer, where one serves, and whether what is taken is traced.
    private func takeKept(capacity: Int) -> (UInt?, isTraced: Bool) {
        state.withLock { state in
            let isTraced = state.trace != nil
            state.liveBytes += capacity
            state.peakLiveBytes = max(state.peakLiveBytes, state.liveBytes)
            if let buffer = state.unused.take(capacity) { return (buffer, isTraced) }
            var limit = state.peakLiveBytes - state.liveBytes
            if capacity >= Self.mappingThreshold {
                // Pages that are there already need no clearing by the kernel.
                if state.unused.bytes > limit,
                    let buffer = state.unused.takePart(capacity, leaving: Self.mappingThreshold)
                {
                    return (buffer, isTraced)
                }
            } else {
                // A large buffer isn't given up for less than a megabyte of small ones.
                limit += Self.slack
            }
            while state.unused.bytes > limit, let buffer = state.unused.remove(state.unused.bytes - limit) {
                Self.release(buffer.address, buffer.size)
            }
            return (nil, isTraced)
        }
    }

    package func giveBack(_ buffer: UnsafeMutableRawPointer, bytes: Int) {
        let capacity = Self.capacity(bytes: bytes)
        let address = UInt(bitPattern: buffer)
        state.withLock { state in
            state.trace?.giveBack(address, bytes: bytes)
            state.liveBytes -= capacity
            state.unused.add(address, capacity)
        }
    }

    package init() {}

    /// Gives back what is kept for reuse, and to the kernel what can be of it.
    package func releaseUnused() {
        state.withLock { state in
            while let buffer = state.unused.remove(.max) { Self.release(buffer.address, buffer.size) }
        }
        releaseHeap()
    }

    /// The bytes kept for reuse.
    package var unusedBytes: Int { state.withLock(\.unused.bytes) }

    /// The most bytes that tensors took up at one time, mapped files not counted.
    package var peakBytes: Int { state.withLock(\.peakLiveBytes) }

    /// The bytes that tensors take up now.
    package var liveBytes: Int { state.withLock(\.liveBytes) }

    func beginTrace() { state.withLock { $0.trace = AllocationTrace() } }

    func endTrace() -> AllocationTrace {
        state.withLock { state in
            defer { state.trace = nil }
            return state.trace ?? AllocationTrace()
        }
    }

    /// From this size on memory comes from the kernel page by page, so that giving it back really does: in the heap, holes
    /// between others that stay would keep it.
    private static let mappingThreshold = 1 << 17
    /// How much of smaller buffers may wait beyond what was ever needed.
    private static let slack = 1 << 20

    /// More than any processor can address, and far from where the sums of sizes here would overflow.
    static let largest = 1 << 57

    private static func allocate(_ capacity: Int) -> UnsafeMutableRawPointer {
        if capacity >= mappingThreshold {
            let memory = mmap(nil, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            if let memory, memory != MAP_FAILED {
                madvise(memory, capacity, MADV_HUGEPAGE)
                return memory
            }
        } else {
            var memory: UnsafeMutableRawPointer?
            if posix_memalign(&memory, 64, capacity) == 0, let memory { return memory }
        }
        endWithoutMemory("\(capacity) bytes for a tensor")
    }

    private static func release(_ address: UInt, _ capacity: Int) {
        guard let buffer = UnsafeMutableRawPointer(bitPattern: address) else { return }
        if capacity >= mappingThreshold { munmap(buffer, capacity) } else { free(buffer) }
    }
}
