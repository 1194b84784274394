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
        var files: [RecordFile] = []
        var problems = ProblemCollection()
        for path in paths {
            do {
                files.append(try RecordFile(path: path))
            } catch let problem as Problem {
                problems.add(problem)
            } catch let several as Problems {
                for problem in several.list { problems.add(problem) }
            }
        }
        try problems.throwAll(of: nil, "records")
        self.files = files
        var offsets: [Int] = []
        var count = 0
        for file in files {
            offsets.append(count)
            count += file.count
        }
        self.offsets = offsets
        self.count = min(count, limit ?? count)
    }

    /// Up to where the records of each file go, in the count of all.
    var ends: [Int] { zip(offsets, files).map { min($0 + $1.count, count) } }

    func locate(_ index: Int) -> (RecordFile, Int) {
        let file = (offsets.firstIndex { $0 > index } ?? offsets.count) - 1
        return (files[file], index - offsets[file])
    }

    /// Calls `transform` for every record on all cores, and `body` with the results in order. Throws the problems of the
    /// first records that have some, and how many more there are, after all were looked at.
    func forEachInParallel<Result>(
        _ transform: @Sendable (RecordFile, Int) throws -> Result, _ body: (Int, Result) throws -> Void
    ) throws {
        let chunk = 256
        // By rounds, so that results don't pile up.
        let round = chunk * 64
        var problems = ProblemCollection()
        for start in stride(from: 0, to: count, by: round) {
            let chunkCount = (min(round, count - start) + chunk - 1) / chunk
            let results = Results<Swift.Result<[Swift.Result<Result, Problem>], any Error>>(count: chunkCount)
            concurrently(chunkCount) { part in
                let first = start + part * chunk
                results.set(
                    part,
                    Swift.Result {
                        try (first..<min(first + chunk, count)).map { index in
                            let (file, local) = locate(index)
                            do {
                                return .success(try transform(file, local))
                            } catch let problem as Problem {
                                return .failure(problem)
                            }
                        }
                    })
            }
            for part in 0..<chunkCount {
                for (offset, result) in try results[part].get().enumerated() {
                    switch result {
                    case .success(let value): try body(start + part * chunk + offset, value)
                    case .failure(let problem): problems.add(problem)
                    }
                }
            }
        }
        try problems.throwAll(of: count, "records")
    }

    /// The fields among `names` that no record has.
    func lacking(_ names: [String]) throws -> [String] {
        var missing = names
        for index in 0..<count where !missing.isEmpty {
            let (file, local) = locate(index)
            let values = try file.values(of: missing, at: local)
            missing = zip(missing, values).filter { $1 == nil }.map(\.0)
        }
        return missing
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
        guard let element = slots[index] else { defect("Results: slot \(index) is empty") }
        return element
    }
}
