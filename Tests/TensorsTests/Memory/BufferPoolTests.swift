import Tensors
import Testing

struct BufferPoolTests {
    @Test("a released buffer serves the next request of its size")
    func reuse() {
        let pool = BufferPool()
        let first = pool.take(bytes: 5000)
        pool.giveBack(first, bytes: 5000)
        #expect(pool.unusedBytes == BufferPool.capacity(bytes: 5000))
        let second = pool.take(bytes: 4990)
        #expect(second == first)
        #expect(pool.unusedBytes == 0)
        pool.giveBack(second, bytes: 4990)
    }

    @Test("what is kept never lifts the process above the most that was needed at one time")
    func trimming() {
        let pool = BufferPool()
        for bytes in [3 << 20, 5 << 20, 100_000, 7 << 20, 2 << 20, 9 << 20] {
            let buffer = pool.take(bytes: bytes)
            #expect(pool.unusedBytes + BufferPool.capacity(bytes: bytes) <= pool.peakBytes)
            pool.giveBack(buffer, bytes: bytes)
        }
        #expect(pool.peakBytes == BufferPool.capacity(bytes: 9 << 20))
    }

    @Test("capacities hold what was asked for and are at most an eighth larger", arguments: [1, 63, 64, 512, 513])
    func capacities(bytes: Int) {
        for size in [bytes, bytes * 1000, bytes * 123_457] {
            let capacity = BufferPool.capacity(bytes: size)
            #expect(capacity >= size && capacity % 64 == 0)
            #expect(Double(capacity) <= max(64, Double(size) * 1.125 + 64))
        }
    }
}
