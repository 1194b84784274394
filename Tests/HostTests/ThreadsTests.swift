import Host
import Synchronization
import Testing

struct ThreadsTests {
    @Test("every number is done exactly once", arguments: [0, 1, 2, 1000])
    func concurrent(count: Int) {
        let seen = Mutex([Int](repeating: 0, count: count))
        concurrently(count) { number in seen.withLock { $0[number] += 1 } }
        #expect(seen.withLock { $0.allSatisfy { $0 == 1 } })
    }

    @Test("a thread has run when it was waited for")
    func started() throws {
        let isDone = Atomic(false)
        try withoutActuallyEscaping({ @Sendable () -> Void in isDone.store(true, ordering: .releasing) }) { body in
            try StartedThread(body).join()
        }
        let done = isDone.load(ordering: .acquiring)
        #expect(done)
    }

    @Test("there is a processor") func processors() { #expect(processorCount >= 1) }
}
