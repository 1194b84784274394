import Tensors

/// How many bytes a second all threads together read from memory, in one pass over as many as `bytes`.
struct MemoryRate {
    private let memory: Tensor

    init(bytes: Int) { memory = Tensor(repeating: 1, [max(1, bytes / Self.blockBytes), Self.blockBytes / 4]) }

    private static let blockBytes = 1 << 18

    /// One pass, timed; plain sums of integers, so that nothing but the reading takes time.
    func bytesPerSecond() -> Double {
        let rowBytes = Self.blockBytes
        let start = ContinuousClock.now
        let rows = memory.rowCount
        let sums = Tensor(zeros: [rows, 16])
        WorkerPool.shared.run(rows) { row in
            typealias Block = SIMD16<UInt32>
            let words = UnsafeRawPointer(memory.data) + row * rowBytes
            var (a, b) = (Block(), Block())
            var offset = 0
            while offset < rowBytes {
                a ^= words.load(fromByteOffset: offset, as: Block.self)
                b ^= words.load(fromByteOffset: offset + 64, as: Block.self)
                offset += 128
            }
            for lane in 0..<16 { sums.data[row * 16 + lane] = Float((a ^ b)[lane]) }
        }
        let seconds = start.duration(to: .now) / .seconds(1)
        return Double(rows * rowBytes) / seconds
    }
}
