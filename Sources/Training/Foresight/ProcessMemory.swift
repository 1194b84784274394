import Files
import Glibc

/// What there is of memory for this process.
package enum ProcessMemory {
    /// The bytes that this process may have in all, those that it has included: what the machine has available, and what
    /// its control groups leave; nil where the system doesn't tell.
    package static var bytes: Int? { freeBytes.map { $0 + residentBytes } }

    /// The bytes that this process may still take; nil where the system doesn't tell.
    package static var freeBytes: Int? {
        guard let machine = field("MemAvailable", in: "/proc/meminfo") else { return nil }
        return max(0, ([machine * 1024] + groups.compactMap(room)).min() ?? 0)
    }

    /// The most bytes that this process had in memory at one time. What `getrusage` tells counts those of the process
    /// that started it too, where that waited in the same memory (`posix_spawn`, `vfork`), and so serves only without
    /// /proc.
    package static var peakBytes: Int {
        if let kilobytes = field("VmHWM", in: "/proc/self/status") { return kilobytes * 1024 }
        var usage = rusage()
        let thisProcess: Int32 = 0
        getrusage(thisProcess, &usage)
        return usage.ru_maxrss * 1024
    }

    /// The bytes of this process that are in memory now.
    package static var residentBytes: Int {
        let pages = text("/proc/self/statm")?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// The folders of this process' control groups for memory, and those above them.
    private static var groups: [String] {
        let lines = text("/proc/self/cgroup")?.split(separator: "\n") ?? []
        return lines.flatMap { line -> [String] in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3, fields[1].isEmpty || fields[1].split(separator: ",").contains("memory") else {
                return []
            }
            let root = fields[1].isEmpty ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"
            var folders = [root]
            // In a container the path may be one outside of it, which isn't there.
            for name in fields[2].split(separator: "/") where name != ".." {
                folders.append(folders[folders.count - 1] + "/" + name)
            }
            return folders
        }
    }

    /// What a group leaves: its limit but for what is used, of which cached files count as free; nil for no limit.
    private static func room(_ group: String) -> Int? {
        func number(_ names: String...) -> Int? {
            names.lazy.compactMap { text("\(group)/\($0)")?.split(separator: "\n").first }.first.flatMap { Int($0) }
        }
        guard let limit = number("memory.max", "memory.limit_in_bytes"), limit < 1 << 60,
            let used = number("memory.current", "memory.usage_in_bytes")
        else { return nil }
        return limit - used + (field("inactive_file", in: "\(group)/memory.stat") ?? 0)
    }

    /// A number behind a name, in a file of such lines.
    private static func field(_ name: String, in path: String) -> Int? {
        let lines = text(path)?.split(separator: "\n") ?? []
        return lines.lazy.map { $0.split { " \t:".contains($0) } }.first { $0.count > 1 && $0[0] == name }
            .flatMap { Int($0[1]) }
    }

    private static func text(_ path: String) -> String? { try? FileSystem.text(of: path) }
}
