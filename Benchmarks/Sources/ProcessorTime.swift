import Glibc

/// What all processors together have done since the machine started, in seconds.
struct ProcessorTime {
    var busy = 0.0
    var idle = 0.0

    /// Nothing where the system doesn't tell.
    static func now() -> ProcessorTime {
        guard let file = fopen("/proc/stat", "r") else { return ProcessorTime() }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 4096)
        guard fgets(&line, Int32(line.count), file) != nil else { return ProcessorTime() }
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // user, nice, system, idle, iowait, irq, softirq, steal; what guests of ours took is in user and nice.
        let ticks = text.split(separator: " ").dropFirst().prefix(8).compactMap { Double($0) }
        guard ticks.count == 8, text.hasPrefix("cpu ") else { return ProcessorTime() }
        let second = Double(sysconf(Int32(_SC_CLK_TCK)))
        let idle = (ticks[3] + ticks[4]) / second
        return ProcessorTime(busy: ticks.reduce(0, +) / second - idle, idle: idle)
    }

    /// The share of the time since `before` that went to others than a process that took `own` seconds.
    func share(ofOthersSince before: ProcessorTime, own: Double) -> Double {
        let total = busy + idle - before.busy - before.idle
        return total > 0 ? max(0, busy - before.busy - own) / total : 0
    }
}
