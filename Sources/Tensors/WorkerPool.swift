import COpenBLAS
import Diagnostics
import Glibc
import Host
import Synchronization

/// Threads that share out the numbered parts of one piece of work at a time.
///
/// Which thread does which part never changes a result: callers cut work into parts by its shape alone.
public final class WorkerPool: @unchecked Sendable {
    public static let shared = WorkerPool()

    /// What is being shared out, in one word, so that a part is claimed only of the work that is really current:
    /// a running number, how many parts there are, and the next part.
    private let ticket = Atomic<UInt64>(0)
    private let finished = Atomic<Int>(0)
    private let sleepers = Atomic<Int>(0)
    private let wanted: Atomic<Int>
    private let busy = Atomic<Bool>(false)
    private var body: UnsafePointer<(Int) -> Void>?
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var started = 0
    private let onShortage = Mutex<(@Sendable (_ threads: Int, _ reason: String) -> Void)?>(nil)

    private static let indexBits: UInt64 = 20
    private static let indexMask: UInt64 = (1 << indexBits) - 1
    /// Rounds of waiting, about 50 µs, before a thread sleeps: longer than the gaps within a training step.
    private static let spins = 4000

    private init() {
        wanted = Atomic(processorCount)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    /// How many threads work, the calling one included. At first the number of processors that the process may use.
    public var threadCount: Int {
        get { wanted.load(ordering: .relaxed) }
        set { wanted.store(max(1, newValue), ordering: .relaxed) }
    }

    /// Has `body` called with the number of threads that work from now on, and the system's words, where it gives fewer
    /// than are wanted.
    public func whereThreadsAreShort(_ body: @escaping @Sendable (_ threads: Int, _ reason: String) -> Void) {
        onShortage.withLock { $0 = body }
    }

    /// Runs `body` once for each number below `count`, on all threads, and returns when all have run.
    ///
    /// Called from inside `body`, it runs the inner parts one after the other.
    public func run(_ count: Int, _ body: (Int) -> Void) {
        let threads = min(threadCount, count)
        guard threads > 1, count < Int(Self.indexMask),
            busy.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged
        else {
            for part in 0..<count { body(part) }
            return
        }
        start(threads: threads - 1)
        withoutActuallyEscaping(body) { escapable in
            withUnsafePointer(to: escapable) { pointer in
                self.body = pointer
                finished.store(0, ordering: .relaxed)
                let generation = (ticket.load(ordering: .relaxed) >> (2 * Self.indexBits)) &+ 1
                let fresh = (generation << (2 * Self.indexBits)) | (UInt64(count) << Self.indexBits)
                ticket.store(fresh, ordering: .sequentiallyConsistent)
                if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
                    pthread_mutex_lock(mutex)
                    pthread_cond_broadcast(condition)
                    pthread_mutex_unlock(mutex)
                }
                while let part = claim() {
                    escapable(part)
                    finished.add(1, ordering: .releasing)
                }
                var rounds = 0
                while finished.load(ordering: .acquiring) < count {
                    rounds += 1
                    if rounds % Self.spins == 0 { sched_yield() } else { peft_pause() }
                }
                self.body = nil
            }
        }
        busy.store(false, ordering: .releasing)
    }

    /// Runs `body` over consecutive ranges of `grain` numbers that together make up 0..<total.
    @inline(__always)
    public func run(over total: Int, grain: Int, _ body: (Range<Int>) -> Void) {
        require(grain > 0, "WorkerPool: a grain of \(grain)")
        if total == 0 { return }
        run((total + grain - 1) / grain) { part in body(part * grain..<min(total, (part + 1) * grain)) }
    }

    /// The next part that nobody has begun, or nil where all have been.
    private func claim() -> Int? {
        var current = ticket.load(ordering: .acquiring)
        while true {
            let next = current & Self.indexMask
            let count = (current >> Self.indexBits) & Self.indexMask
            if next >= count { return nil }
            let (exchanged, original) = ticket.weakCompareExchange(
                expected: current, desired: current + 1, ordering: .acquiringAndReleasing)
            if exchanged { return Int(next) }
            current = original
        }
    }

    private func start(threads: Int) {
        while started < threads {
            let index = started
            do throws(ThreadShortage) {
                try StartedThread { self.work(index: index) }.detach()
            } catch {
                // What is there does all the work.
                threadCount = index + 1
                onShortage.withLock { $0 }?(index + 1, error.reason)
                return
            }
            started += 1
        }
    }

    private func work(index: Int) {
        var idle = 0
        while true {
            if index + 1 < wanted.load(ordering: .relaxed), let part = claim() {
                // A part was claimed, so `run` waits for it, and the body stays what it is.
                if let body { body.pointee(part) }
                finished.add(1, ordering: .releasing)
                idle = 0
                continue
            }
            idle += 1
            if idle < Self.spins { peft_pause() } else { sleep() }
        }
    }

    private func sleep() {
        pthread_mutex_lock(mutex)
        sleepers.add(1, ordering: .sequentiallyConsistent)
        let current = ticket.load(ordering: .sequentiallyConsistent)
        if (current & Self.indexMask) >= ((current >> Self.indexBits) & Self.indexMask) {
            pthread_cond_wait(condition, mutex)
        }
        sleepers.subtract(1, ordering: .sequentiallyConsistent)
        pthread_mutex_unlock(mutex)
    }
}
