import Files
import Methods

/// The memory in bytes that the machine has to give now, or the control group that the process is in where that is less.
func freeMemory() -> Double {
    func number(_ path: String) -> Double? {
        (try? FileSystem.text(of: path)).flatMap { Double($0.filter { !$0.isWhitespace }) }
    }
    let lines = ((try? FileSystem.text(of: "/proc/meminfo")) ?? "").split(separator: "\n")
    let kilobytes = lines.first { $0.hasPrefix("MemAvailable:") }.flatMap { Double($0.split(separator: " ")[1]) }
    var free = kilobytes.map { $0 * 1024 } ?? machineMemory
    if let limit = number("/sys/fs/cgroup/memory.max"), let used = number("/sys/fs/cgroup/memory.current") {
        free = min(free, max(0, limit - used))
    }
    return free
}
