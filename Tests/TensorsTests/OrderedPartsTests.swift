import Synchronization
import Tensors
import Testing

struct OrderedPartsTests {
    @Test("parts that end in any order are taken one by one in the order of their numbers", arguments: [1, 2, 16, 32])
    func order(count: Int) {
        for round in 0..<200 {
            let parts = OrderedParts(count: count)
            let taken = Mutex<[Int]>([])
            let isTaking = Atomic(false)
            WorkerPool.shared.run(count) { part in
                // Backwards in every other round, so that nothing is due before the last.
                parts.finish(round % 2 == 0 ? part : count - 1 - part) { number in
                    let isAnother = isTaking.exchange(true, ordering: .acquiringAndReleasing)
                    #expect(!isAnother)
                    taken.withLock { $0.append(number) }
                    isTaking.store(false, ordering: .releasing)
                }
            }
            #expect(taken.withLock { $0 } == Array(0..<count))
        }
    }
}
