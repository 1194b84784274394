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

    @Test("what is kept never lifts the process above the most that was needed at one time, but for a megabyte")
    func trimming() {
        let pool = BufferPool()
        for bytes in [3 << 20, 5 << 20, 100_000, 7 << 20, 2 << 20, 9 << 20] {
            let buffer = pool.take(bytes: bytes)
            let limit = pool.peakBytes + (bytes < 1 << 20 ? 1 << 20 : 0)
            #expect(pool.unusedBytes + BufferPool.capacity(bytes: bytes) <= limit)
            pool.giveBack(buffer, bytes: bytes)
        }
        #expect(pool.peakBytes == BufferPool.capacity(bytes: 9 << 20))
    }

    @Test("a large buffer serves smaller requests in parts, and is whole again once they are released")
    func parts() {
        let pool = BufferPool()
        let whole = pool.take(bytes: 64 << 20)
        pool.giveBack(whole, bytes: 64 << 20)
        for _ in 0..<2 {
            let parts = [12 << 20, 10 << 20, 12 << 20].map { ($0, pool.take(bytes: $0)) }
            var next = whole
            for (bytes, part) in parts {
                #expect(part == next)
                next += bytes
            }
            #expect(pool.unusedBytes == 30 << 20)
            for (bytes, part) in parts { pool.giveBack(part, bytes: bytes) }
            #expect(pool.take(bytes: 64 << 20) == whole)
            pool.giveBack(whole, bytes: 64 << 20)
        }
        #expect(pool.peakBytes == 64 << 20)
    }

    @Test("parts of a buffer that is still in use are given back to the system one by one")
    func partsInUse() {
        let pool = BufferPool()
        let whole = pool.take(bytes: 64 << 20)
        pool.giveBack(whole, bytes: 64 << 20)
        let (used, released) = (pool.take(bytes: 16 << 20), pool.take(bytes: 16 << 20))
        used.storeBytes(of: 7, as: Int.self)
        pool.giveBack(released, bytes: 16 << 20)
        // Nothing that is unused is so large, and with it the pool would be above its mark.
        let other = pool.take(bytes: 40 << 20)
        other.initializeMemory(as: UInt8.self, repeating: 1, count: 40 << 20)
        #expect(pool.unusedBytes + (16 << 20) + (40 << 20) <= pool.peakBytes)
        #expect(used.load(as: Int.self) == 7)
        pool.giveBack(used, bytes: 16 << 20)
        pool.giveBack(other, bytes: 40 << 20)
        #expect(pool.take(bytes: 16 << 20) == used)
    }

    @Test("any order of requests gets memory that nobody else has")
    func randomOrder() {
        let pool = BufferPool()
        var generator = RandomGenerator(seed: 5, stream: "requests")
        var live: [(memory: UnsafeMutableRawPointer, bytes: Int)] = []
        for request in 0..<4000 {
            if live.count < 12, Bool.random(using: &generator) {
                let bytes = Int.random(in: 1...40, using: &generator) << (request % 3 == 0 ? 12 : 19)
                let memory = pool.take(bytes: bytes)
                memory.storeBytes(of: request, as: Int.self)
                (memory + bytes - 8).storeBytes(of: request, as: Int.self)
                #expect(live.allSatisfy { $0.memory + $0.bytes <= memory || memory + bytes <= $0.memory })
                live.append((memory, bytes))
            } else if !live.isEmpty {
                let index = Int.random(in: live.indices, using: &generator)
                let (memory, bytes) = live.remove(at: index)
                #expect(memory.load(as: Int.self) == (memory + bytes - 8).load(as: Int.self))
                pool.giveBack(memory, bytes: bytes)
            }
            let used = live.reduce(0) { $0 + BufferPool.capacity(bytes: $1.bytes) }
            #expect(pool.unusedBytes + used <= pool.peakBytes + (1 << 20))
        }
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
