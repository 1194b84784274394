public import Diagnostics
import Host

/// The processors that each rank has for itself, and what is wrong with that.
public struct ProcessorShare: Sendable, Equatable {
    /// Threads for this rank.
    public let threads: Int
    public let warnings: [Problem]

    /// What one rank may use.
    package struct Place: Equatable {
        package var host: String
        /// The processors that it may run on, a bit each.
        package var processors: [UInt64]
        /// How many it could run on if nobody had bound it.
        package var reachable: Int
        /// The threads that it was told to use; 0 where it is free.
        package var wanted: Int

        package init(host: String, processors: [UInt64], reachable: Int, wanted: Int) {
            (self.host, self.processors, self.reachable, self.wanted) = (host, processors, reachable, wanted)
        }
    }

    /// - Parameter places: Of all ranks, in their order.
    package init(of rank: Int, among places: [Place], unbinding: String) {
        threads = Self.threads(rank, places)
        var warnings: [Problem] = []
        var hosts: [String] = []
        for place in places where !hosts.contains(place.host) { hosts.append(place.host) }
        for host in hosts {
            let ranks = places.indices.filter { places[$0].host == host }
            let here = ranks.map { places[$0] }
            let union = here.reduce(into: [UInt64](repeating: 0, count: here[0].processors.count)) { union, place in
                for index in union.indices { union[index] |= place.processors[index] }
            }
            let (usable, reachable) = (Self.count(union), here.map(\.reachable).max() ?? 0)
            let wanted = ranks.reduce(0) { $0 + (places[$1].wanted > 0 ? places[$1].wanted : Self.threads($1, places)) }
            let processes = ranks.count == 1 ? "the process" : "the \(ranks.count) processes"
            // Whoever chose fewer threads has no use for more processors.
            if usable < reachable, here.contains(where: { $0.wanted == 0 || $0.wanted * ranks.count > usable }) {
                warnings.append(
                    Problem(
                        "on \(host) the launcher binds \(processes) to \(usable) of \(reachable) processors, and the others stay "
                            + "idle: give mpirun \(unbinding)", severity: .warning))
            } else if wanted > usable {
                warnings.append(
                    Problem(
                        "on \(host) \(processes) calculate\(ranks.count == 1 ? "s" : "") with \(wanted) threads on \(usable) "
                            + "processor\(usable == 1 ? "" : "s"), and wait for each other: start fewer processes there, or give "
                            + "fewer --threads", severity: .warning))
            }
        }
        self.warnings = warnings
    }

    private static func count(_ bits: [UInt64]) -> Int { bits.reduce(0) { $0 + $1.nonzeroBitCount } }

    /// Each processor is shared by the ranks that may run on it.
    private static func threads(_ rank: Int, _ places: [Place]) -> Int {
        let place = places[rank]
        let here = places.filter { $0.host == place.host }
        var share = 0.0
        for processor in 0..<place.processors.count * 64 {
            func has(_ place: Place) -> Bool { place.processors[processor / 64] >> (processor % 64) & 1 == 1 }
            if has(place) { share += 1 / Double(here.filter(has).count) }
        }
        return max(1, Int(share + 1e-9))
    }
}

extension Communicator {
    /// The processors of this rank among those that share its machine.
    ///
    /// - Parameter wanted: The threads that this rank was told to use; nil where it is free.
    public func processorShare(wanted: Int?) -> ProcessorShare {
        let own = processorMask()
        let all = gather(own + [UInt64(reachableProcessorCount()), UInt64(wanted ?? 0)])
        let places = zip(hosts, all).map { host, words in
            ProcessorShare.Place(
                host: host, processors: Array(words.prefix(own.count)), reachable: Int(words[own.count]),
                wanted: Int(words[own.count + 1]))
        }
        return ProcessorShare(of: rank, among: places, unbinding: passing.family.unbinding)
    }

    /// What is wrong with the processors of the only process that a launcher started; nothing without a launcher.
    ///
    /// - Parameter wanted: The threads that it was told to use; nil where it is free.
    public static func warningsOfOne(wanted: Int?) -> [Problem] {
        guard let launcher = Launcher.ofThisProcess, launcher.count == 1 else { return [] }
        let place = ProcessorShare.Place(
            host: "this machine", processors: processorMask(), reachable: reachableProcessorCount(), wanted: wanted ?? 0
        )
        return ProcessorShare(of: 0, among: [place], unbinding: launcher.family.unbinding).warnings
    }
}
