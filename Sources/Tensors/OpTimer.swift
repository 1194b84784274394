import Glibc

/// Tells which operations the time of a computation goes to; off, and then free but for one comparison an operation,
/// until `start`.
///
/// Times are laps: each covers what its thread did since the last one ended, so that nothing is left out and a lap
/// more inside an operation divides it. One thread at a time can be watched, the one that calls `start`; what its
/// workers do is in its waiting for them.
public enum OpTimer {
    /// What one operation took, or one of its ways back.
    public struct Entry: Sendable {
        /// The operation's function without its arguments, or the name of a part of it.
        public var name: String
        /// Which of the operation's inputs the gradient was for, counted from 1; nil for the way forward.
        public var pullback: Int?
        /// What the operation distinguished its uses by, such as inputs and outputs.
        public var sizes: [Int]
        public var seconds: Double
        public var count: Int
    }

    struct Label {
        var name: StaticString
        var sizes: (Int, Int) = (0, 0)
    }

    private struct Key: Hashable {
        var name: String
        var pullback: Int
        var first: Int
        var second: Int
    }

    private nonisolated(unsafe) static var isOn = false
    private nonisolated(unsafe) static var owner = pthread_t()
    private nonisolated(unsafe) static var last: UInt64 = 0
    private nonisolated(unsafe) static var totals: [Key: (nanoseconds: UInt64, count: Int)] = [:]

    /// Watches the calling thread from now on, from zero.
    public static func start() {
        totals = [:]
        owner = pthread_self()
        last = now()
        isOn = true
    }

    /// Ends watching.
    ///
    /// - Returns: What took longest first; the names' sum is the time since `start`.
    public static func stop() -> [Entry] {
        lap("rest")
        isOn = false
        return totals.map { key, total in
            Entry(
                name: String(key.name.prefix { $0 != "(" }),
                pullback: key.pullback == 0 ? nil : key.pullback, sizes: [key.first, key.second].filter { $0 != 0 },
                seconds: Double(total.nanoseconds) / 1e9, count: total.count)
        }.sorted { $0.seconds > $1.seconds }
    }

    /// Ends a lap, which belongs to `name`.
    @inline(__always)
    public static func lap(_ name: StaticString = #function) {
        if isOn { add(Label(name: name), pullback: 0) }
    }

    @inline(__always)
    static func lap(_ label: Label, pullback: Int) {
        if isOn { add(label, pullback: pullback) }
    }

    @inline(never)
    private static func add(_ label: Label, pullback: Int) {
        guard pthread_equal(owner, pthread_self()) != 0 else { return }
        let time = now()
        let key = Key(
            name: label.name.description, pullback: pullback, first: label.sizes.0, second: label.sizes.1)
        let before = totals[key] ?? (0, 0)
        totals[key] = (before.nanoseconds + time - last, before.count + 1)
        last = time
    }

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
