/// What tensors took from the pool and gave back in the course of some work, in order.
package struct AllocationTrace: Sendable {
    /// The bytes of each allocation, as they were asked for, in the order of their beginning.
    package private(set) var sizes: [Int] = []
    /// k where the allocation k began, ~k where it ended.
    package private(set) var events: [Int] = []
    /// Those that haven't ended, by their addresses.
    private var open: [UInt: Int] = [:]

    package init() {}

    mutating func take(_ address: UInt, bytes: Int) {
        open[address] = sizes.count
        events.append(sizes.count)
        sizes.append(bytes)
    }

    mutating func giveBack(_ address: UInt, bytes: Int) {
        if let index = open.removeValue(forKey: address) {
            events.append(~index)
        } else {
            // It was there before.
            events.append(~sizes.count)
            sizes.append(bytes)
        }
    }

    /// The most that was taken at one time beyond what there was at the beginning, if the allocation k had been of
    /// `size(k)` bytes.
    package func peak(_ size: (Int) -> Int) -> Int {
        var (live, most) = (0, 0)
        for event in events {
            live += event >= 0 ? BufferPool.capacity(bytes: size(event)) : -BufferPool.capacity(bytes: size(~event))
            most = max(most, live)
        }
        return most
    }

    package var peak: Int { peak { sizes[$0] } }
}

extension BufferPool {
    /// Notes what is taken and given back while `body` runs.
    package func tracing(_ body: () throws -> Void) rethrows -> AllocationTrace {
        beginTrace()
        do {
            try body()
        } catch {
            _ = endTrace()
            throw error
        }
        return endTrace()
    }
}
