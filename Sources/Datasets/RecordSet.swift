import Diagnostics
import Host

/// The records of several files, one after the other.
package struct RecordSet: Sendable {
    package let files: [RecordFile]
    /// The number of records in front of each file.
    private let offsets: [Int]
    package let count: Int

    package init(paths: [String]) throws { try self.init(paths: paths, limit: nil) }

    /// - Parameter limit: So many records from the first on are all; nil for all there are.
    package init(paths: [String], limit: Int?) throws {
        files = try paths.map { try RecordFile(path: $0) }
        var offsets: [Int] = []
        var count = 0
        for file in files {
            offsets.append(count)
            count += file.count
        }
        self.offsets = offsets
        self.count = min(count, limit ?? count)
    }

    func locate(_ index: Int) -> (RecordFile, Int) {
        let file = (offsets.firstIndex { $0 > index } ?? offsets.count) - 1
        return (files[file], index - offsets[file])
    }

    /// Calls `transform` for every record on all cores, and `body` with the results in order. Throws what the first
    /// failing record threw.
    func forEachInParallel<Result>(
        _ transform: @Sendable (RecordFile, Int) throws -> Result, _ body: (Int, Result) throws -> Void
    ) throws {
        let chunk = 256
        // By rounds, so that results don't pile up.
        let round = chunk * 64
        for start in stride(from: 0, to: count, by: round) {
            let chunkCount = (min(round, count - start) + chunk - 1) / chunk
            let results = Results<Swift.Result<[Result], any Error>>(count: chunkCount)
            concurrently(chunkCount) { part in
                let first = start + part * chunk
                results.set(
                    part,
                    Swift.Result {
                        try (first..<min(first + chunk, count)).map { index in
                            let (file, local) = locate(index)
                            return try transform(file, local)
                        }
                    })
            }
            for part in 0..<chunkCount {
                for (offset, result) in try results[part].get().enumerated() {
                    try body(start + part * chunk + offset, result)
                }
            }
        }
    }
}

/// A slot for each of several threads' results.
private final class Results<Element>: @unchecked Sendable {
    private let slots: UnsafeMutableBufferPointer<Element?>

    init(count: Int) {
        slots = .allocate(capacity: count)
        slots.initialize(repeating: nil)
    }

    deinit {
        slots.deinitialize()
        slots.deallocate()
    }

    func set(_ index: Int, _ element: Element) { slots[index] = element }

    subscript(index: Int) -> Element {
        guard let element = slots[index] else { preconditionFailure("Results: slot \(index) is empty") }
        return element
    }
}
