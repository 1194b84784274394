/// What ended this rank because others failed, which have said why.
public struct OthersFailed: Error {}

extension Communicator {
    /// Whether it is so on any rank.
    public func any(_ condition: Bool) -> Bool { gather([condition ? UInt64(1) : 0]).contains { $0[0] > 0 } }

    /// Runs `body` everywhere, and goes on only where it succeeded on all ranks.
    ///
    /// - Throws: What the first rank that failed has thrown there, and `OthersFailed` elsewhere.
    public func agree<Result>(_ body: () throws -> Result) throws -> Result {
        let outcome: Swift.Result<Result, any Error>
        do { outcome = .success(try body()) } catch { outcome = .failure(error) }
        var failed: UInt64 = 0
        if case .failure = outcome { failed = 1 }
        guard let first = gather([failed]).firstIndex(where: { $0[0] > 0 }) else { return try outcome.get() }
        isEndKnown = true
        if first == rank { return try outcome.get() }
        throw OthersFailed()
    }

    /// Whether all ranks know that the work has ended, so that none waits for another.
    public var isOver: Bool { isEndKnown }
}

extension Communicator? {
    /// As `Communicator.agree`; a process that works alone just runs `body`.
    public func agree<Result>(_ body: () throws -> Result) throws -> Result {
        if let self { try self.agree(body) } else { try body() }
    }

    /// Runs `body` on the first rank alone.
    ///
    /// - Returns: nil on the others.
    public func onFirst<Result>(_ body: () throws -> Result) throws -> Result? {
        guard let self else { return try body() }
        return try self.agree { self.isFirst ? try body() : nil }
    }

    /// Whether it is so on any rank.
    public func any(_ condition: Bool) -> Bool { self?.any(condition) ?? condition }

    /// What the first rank says, for all.
    public func fromFirst(_ text: String?) -> String? {
        guard let self else { return text }
        let bytes = self.broadcast(text.map { [1] + Array($0.utf8) } ?? [])
        return bytes.isEmpty ? nil : String(decoding: bytes.dropFirst(), as: UTF8.self)
    }

    /// What `body` gives for each number below `count`, shared out in turn; every rank gets all of it.
    public func map(_ count: Int, _ body: (Int) throws -> [Double]) rethrows -> [[Double]] {
        guard let self else { return try (0..<count).map(body) }
        var words: [UInt64] = []
        for index in stride(from: self.rank, to: count, by: self.count) {
            let values = try body(index)
            words.append(UInt64(values.count))
            words += values.map(\.bitPattern)
        }
        var rest = self.gather(uneven: words).map { $0[...] }
        return (0..<count).map { index in
            let owner = index % self.count
            let size = Int(rest[owner].removeFirst())
            defer { rest[owner].removeFirst(size) }
            return rest[owner].prefix(size).map(Double.init(bitPattern:))
        }
    }

    /// The numbers of every rank, in the order of ranks.
    public func gather(_ words: [UInt64]) -> [[UInt64]] { self?.gather(words) ?? [words] }

    public var rank: Int { self?.rank ?? 0 }
    public var count: Int { self?.count ?? 1 }
    public var isFirst: Bool { rank == 0 }
}
