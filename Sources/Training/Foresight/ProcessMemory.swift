import Files
import Glibc

/// What there is of memory for this process.
package enum ProcessMemory {
    /// The bytes that this process may have in all, those that it has included: what the machine has available, and what
    /// its control groups leave; nil where the system doesn't tell.
    package static var bytes: Int? {
        guard let machine = field("MemAvailable", in: "/proc/meminfo") else { return nil }
        let free = ([machine * 1024] + groups.compactMap(room)).min() ?? 0
        return max(0, free) + residentBytes
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
        return lines.lazy.map { $0.split { " :".contains($0) } }.first { $0.count > 1 && $0[0] == name }
            .flatMap { Int($0[1]) }
    }

    private static func text(_ path: String) -> String? { try? FileSystem.text(of: path) }
}
