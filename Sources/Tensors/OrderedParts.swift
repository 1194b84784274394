import Diagnostics
import Synchronization

/// Parts of a piece of work that end in any order, and whose results are taken in the order of their numbers, by
/// whichever thread ends the one that is due, while the others go on.
package final class OrderedParts: Sendable {
    private let count: Int
    /// A bit for each part that has ended, the number of parts taken, and whether a thread is taking one.
    private let state = Atomic<UInt64>(0)

    private static let takenShift: UInt64 = 32
    private static let takenUnit: UInt64 = 1 << takenShift
    private static let isTaking: UInt64 = 1 << 63

    package init(count: Int) {
        require(count <= 32, "OrderedParts: \(count) parts")
        self.count = count
    }

    /// Calls `take` for each part that is due, one at a time over all threads; all are taken when every call has
    /// returned.
    package func finish(_ part: Int, _ take: (Int) -> Void) {
        var current = state.bitwiseOr(1 << UInt64(part), ordering: .acquiringAndReleasing).newValue
        while true {
            let next = Int((current & ~Self.isTaking) >> Self.takenShift)
            if current & Self.isTaking != 0 || next == count || current & (1 << UInt64(next)) == 0 { return }
            let (isOurs, original) = state.weakCompareExchange(
                expected: current, desired: current | Self.isTaking, ordering: .acquiringAndReleasing)
            guard isOurs else {
                current = original
                continue
            }
            take(next)
            // Takes the mark off and counts the part; parts that ended meanwhile show in what comes back.
            current = state.wrappingAdd(Self.takenUnit &- Self.isTaking, ordering: .acquiringAndReleasing).newValue
        }
    }
}
