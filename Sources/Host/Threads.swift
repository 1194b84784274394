import CHost
import Glibc
import Synchronization

/// The number of processors that this process may run on.
public var processorCount: Int { Int(peft_available_processors()) }

/// The processors that the calling thread may run on, a bit each.
public func processorMask() -> [UInt64] {
    var words = [UInt64](repeating: 0, count: Int(PEFT_MASK_WORDS))
    peft_processor_mask(&words)
    return words
}

/// The number of processors that this process could run on if whatever started it had not bound it to some.
public func reachableProcessorCount() -> Int { Int(peft_reachable_processors()) }

/// A thread that was started, to be waited for.
public struct StartedThread: Sendable {
    private let thread: pthread_t

    /// Starts a thread, which leaves signals to the others. Nothing waits where the system has none to give, unlike in
    /// Dispatch, which tries again for ever.
    ///
    /// - Throws: `ThreadShortage`.
    public init(_ body: @escaping @Sendable () -> Void) throws(ThreadShortage) {
        let context = Unmanaged.passRetained(Body(run: body))
        var (all, before, thread) = (sigset_t(), sigset_t(), pthread_t())
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, &before)
        let failure = pthread_create(
            &thread, nil,
            { raw in
                if let raw { Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().run() }
                return nil
            }, context.toOpaque())
        pthread_sigmask(SIG_SETMASK, &before, nil)
        if failure != 0 {
            context.release()
            throw ThreadShortage(code: failure)
        }
        self.thread = thread
    }

    /// Waits for its end; once.
    public func join() { pthread_join(thread, nil) }

    /// Leaves it to itself.
    public func detach() { pthread_detach(thread) }
}

/// Why the system gave no thread.
public struct ThreadShortage: Error {
    public let code: Int32

    public var reason: String { String(cString: strerror(code)) }
}

private final class Body: Sendable {
    let run: @Sendable () -> Void

    init(run: @escaping @Sendable () -> Void) { self.run = run }
}

/// Runs `body` once for each number below `count`, on as many threads as there are processors and the system gives, the
/// calling one included, and returns when all have run.
public func concurrently(_ count: Int, _ body: @Sendable (Int) -> Void) {
    withoutActuallyEscaping(body) { body in
        let next = Counter()
        let work: @Sendable () -> Void = {
            while true {
                let part = next.value.wrappingAdd(1, ordering: .relaxed).oldValue
                if part >= count { return }
                body(part)
            }
        }
        var helpers: [StartedThread] = []
        for _ in 0..<max(0, min(processorCount, count) - 1) {
            guard let helper = try? StartedThread(work) else { break }
            helpers.append(helper)
        }
        work()
        for helper in helpers { helper.join() }
    }
}

private final class Counter: Sendable {
    let value = Atomic<Int>(0)
}
