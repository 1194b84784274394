import Synchronization
import Tensors

/// What `compute` gives with the widest vectors that the processor has, and with narrow ones. Nothing else that asks for
/// either runs meanwhile.
public func byVectorWidth<Result>(_ compute: () throws -> Result) rethrows -> (wide: Result, narrow: Result) {
    try choice.withLock { _ in
        let wide = try compute()
        Processor.useNarrowVectors(true)
        defer { Processor.useNarrowVectors(false) }
        return (wide, try compute())
    }
}

private let choice = Mutex(())
