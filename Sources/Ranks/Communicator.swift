public import Diagnostics
import Glibc
import Synchronization

/// The processes that work on one run together, started by a launcher of MPI; their numbers are called ranks.
///
/// What is summed over ranks is added in the order of their numbers, by this code and not by MPI's reductions, whose order
/// depends on the library, the length and the number of ranks: the same number of ranks gives the same bits everywhere.
///
/// All ranks must call the same functions in the same order, each from its main thread.
public final class Communicator: @unchecked Sendable {
    public let rank: Int
    public let count: Int
    /// The name of the machine that each rank runs on.
    public let hosts: [String]
    let passing: MessagePassing
    private var outgoing: [Float] = []
    private var incoming: [Float] = []
    /// Whether all ranks know that the work has ended.
    var isEndKnown = false

    /// The floats that are summed at a time, 16 MB.
    package static let segment = 1 << 22

    private static let joined = Mutex<Communicator?>(nil)

    /// That of this process; nil where it works alone.
    public static var current: Communicator? { joined.withLock { $0 } }

    /// Whether this is the process that writes files and talks to people.
    public static var isFirst: Bool { current?.isFirst ?? true }

    public var isFirst: Bool { rank == 0 }

    /// `rank 2 (node3)`
    public func name(of rank: Int) -> String { "rank \(rank) (\(hosts[rank]))" }

    /// Joins the other processes where a launcher started several. Nothing is looked for otherwise.
    ///
    /// - Returns: nil where this process works alone.
    /// - Throws: `Problem` where there is no library of MPI, or one that doesn't know the launcher's other processes.
    @discardableResult
    public static func join() throws(Problem) -> Communicator? {
        guard let launcher = Launcher.ofThisProcess, launcher.count > 1 else { return nil }
        let passing = try MessagePassing(for: launcher)
        passing.initialize()
        let found = passing.count
        if found != launcher.count {
            passing.finalize()
            throw Problem(
                "the launcher, of \(launcher.family.name), started \(launcher.count) processes (\(launcher.variable)), and the "
                    + "library, of \(passing.family.name), knows of \(found): each process would make the whole run and write "
                    + "the same files. "
                    + (passing.family == launcher.family
                        ? "Start them by mpirun of the same installation, or unset \(launcher.variable)"
                        : "Start them by the mpirun of \(passing.family.name), or let \(MessagePassing.variable) name the library "
                            + "of \(launcher.family.name)"),
                file: passing.path, exitStatus: .usage)
        }
        let communicator = Communicator(passing)
        joined.withLock { $0 = communicator }
        return communicator
    }

    /// Whether a launcher started this process, alone or with others.
    public static var isLaunched: Bool { Launcher.ofThisProcess != nil }

    /// The rank that the launcher gave this process, before it has joined the others; 0 where there are none.
    public static var launchedRank: Int { Launcher.ofThisProcess?.rank ?? 0 }

    private init(_ passing: MessagePassing) {
        self.passing = passing
        (rank, count) = (passing.rank, passing.count)
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        hosts = Self.gather(bytes, passing, count: count, rank: rank).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Sums floats over all ranks, in place: the parts are one long array, and must have the same lengths everywhere.
    ///
    /// Every rank adds a part of each segment, and all get the same bits.
    public func sum(_ parts: [UnsafeMutableBufferPointer<Float>]) {
        var rest = parts.reduce(0) { $0 + $1.count }
        let most = max(1, min(Self.segment, rest) / count + 1)
        if outgoing.count < most * count {
            outgoing = [Float](repeating: 0, count: most * count)
            incoming = [Float](repeating: 0, count: most * count)
        }
        var place = Place()
        outgoing.withUnsafeMutableBufferPointer { outgoing in
            incoming.withUnsafeMutableBufferPointer { incoming in
                guard let sent = outgoing.baseAddress, let received = incoming.baseAddress else { return }
                while rest > 0 {
                    let length = min(rest, most * count)
                    let own = (length + count - 1) / count
                    var reading = place
                    reading.visit(parts, length) { offset, part, size in
                        (sent + offset).update(from: part, count: size)
                    }
                    (sent + length).update(repeating: 0, count: own * count - length)
                    passing.exchange(sent, received, count: own)
                    for other in 1..<count { Self.add(received + other * own, to: received, count: own) }
                    passing.gather(received, sent, count: own)
                    place.visit(parts, length) { offset, part, size in
                        part.update(from: sent + offset, count: size)
                    }
                    rest -= length
                }
            }
        }
    }

    /// Where in a list of arrays the work has come to.
    private struct Place {
        var part = 0
        var start = 0

        /// Goes on over `length` floats; `body` gets how many were before, where they lie, and how many are in one array.
        mutating func visit(
            _ parts: [UnsafeMutableBufferPointer<Float>], _ length: Int,
            _ body: (Int, UnsafeMutablePointer<Float>, Int) -> Void
        ) {
            var done = 0
            while done < length {
                let count = min(length - done, parts[part].count - start)
                if count > 0, let base = parts[part].baseAddress { body(done, base + start, count) }
                done += count
                start += count
                if start == parts[part].count { (part, start) = (part + 1, 0) }
            }
        }
    }

    private static func add(_ other: UnsafePointer<Float>, to sum: UnsafeMutablePointer<Float>, count: Int) {
        for index in 0..<count { sum[index] += other[index] }
    }

    /// The numbers of every rank, as many of each.
    public func gather(_ words: [UInt64]) -> [[UInt64]] {
        var all = [UInt64](repeating: 0, count: words.count * count)
        words.withUnsafeBufferPointer { words in
            all.withUnsafeMutableBufferPointer { all in
                guard let sent = words.baseAddress, let received = all.baseAddress else { return }
                passing.gather(sent, received, count: words.count)
            }
        }
        return (0..<count).map { Array(all[$0 * words.count..<($0 + 1) * words.count]) }
    }

    /// The numbers of every rank, however many.
    public func gather(uneven words: [UInt64]) -> [[UInt64]] {
        gather(words.withUnsafeBytes { Array($0) }).map { bytes in
            bytes.withUnsafeBytes { Array($0.bindMemory(to: UInt64.self)) }
        }
    }

    /// The bytes of every rank, however many.
    public func gather(_ bytes: [UInt8]) -> [[UInt8]] { Self.gather(bytes, passing, count: count, rank: rank) }

    private static func gather(_ bytes: [UInt8], _ passing: MessagePassing, count: Int, rank: Int) -> [[UInt8]] {
        (0..<count).map { broadcast($0 == rank ? bytes : [], from: $0, passing, rank: rank) }
    }

    /// The bytes of rank 0, for all.
    public func broadcast(_ bytes: [UInt8]) -> [UInt8] { Self.broadcast(bytes, from: 0, passing, rank: rank) }

    private static func broadcast(_ bytes: [UInt8], from root: Int, _ passing: MessagePassing, rank: Int) -> [UInt8] {
        var length = [UInt8](repeating: 0, count: 8)
        if rank == root { for index in 0..<8 { length[index] = UInt8(truncatingIfNeeded: bytes.count >> (8 * index)) } }
        length.withUnsafeMutableBufferPointer { length in
            if let base = length.baseAddress { passing.broadcast(base, count: 8, from: root) }
        }
        let size = (0..<8).reduce(0) { $0 | Int(length[$1]) << (8 * $1) }
        var content = rank == root ? bytes : [UInt8](repeating: 0, count: size)
        content.withUnsafeMutableBufferPointer { content in
            guard let base = content.baseAddress else { return }
            // A count is a 32-bit number to MPI.
            for start in stride(from: 0, to: size, by: 1 << 30) {
                passing.broadcast(base + start, count: min(1 << 30, size - start), from: root)
            }
        }
        return content
    }

    /// Waits for all.
    public func barrier() { passing.barrier() }

    /// Leaves the others, when all have come to their end; to be called once on every way that all ranks go.
    public func finish() {
        passing.barrier()
        passing.finalize()
    }

    /// Ends all processes, wherever they are.
    public func abort(status: Int32) -> Never {
        passing.abort(status: status)
        _exit(status)
    }
}
