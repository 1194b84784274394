import Diagnostics
import Glibc

/// The values that an axis runs over, with ticks at round ones.
public struct ChartAxis: Sendable {
    public enum Kind: Sendable { case number, count, seconds }

    public struct Tick: Sendable, Hashable {
        public let value: Double
        public let label: String
    }

    public let low: Double
    public let high: Double
    public let ticks: [Tick]
    /// Whether equal distances are equal factors: where all values are above 0, the largest is a thousand times the smallest,
    /// and most are so small beside it that nothing would be seen of them.
    public let isLogarithmic: Bool

    private static let (factorOfLogarithm, factorOfMost) = (1000.0, 50.0)
    /// The power of ten below a smaller value may be 0, whose logarithm is infinite.
    private static let leastOfLogarithm = 1e-290

    /// An axis for `values`; nil where there are none.
    ///
    /// - Parameters:
    ///   - count: About how many ticks there are.
    ///   - isRounded: Whether the axis begins and ends at ticks.
    public init?(_ kind: Kind, _ values: [Double], ticks count: Int, isRounded: Bool = true) {
        guard var low = values.min(), var high = values.max() else { return nil }
        if isRounded, low >= Self.leastOfLogarithm, low <= high / Self.factorOfLogarithm,
            2 * values.count(where: { $0 < high / Self.factorOfMost }) > values.count
        {
            isLogarithmic = true
            let decades = (log10(low).rounded(.down), log10(high).rounded(.up))
            let step = Swift.max(1, ((decades.1 - decades.0) / Double(count)).rounded(.up))
            (self.low, self.high) = (pow(10, decades.0), pow(10, decades.1))
            ticks = stride(from: decades.0, through: decades.1, by: step).map {
                Tick(value: pow(10, $0), label: Self.text(pow(10, $0), kind, step: pow(10, $0)))
            }
            return
        }
        isLogarithmic = false
        // Values that are closer together than their digits tell are one.
        let size = Swift.max(low.magnitude, high.magnitude)
        if high - low < Swift.max(1e-12 * size, 1e-290) {
            let room = size < 1e-290 ? 1 : kind == .number ? 0.1 * size : Swift.max(1, 1e-9 * size)
            (low, high) = (isRounded ? low - room : low, high + room)
        }
        let step = Self.roundStep((high - low) / Double(Swift.max(1, count)), kind)
        var first = (low / step).rounded(.up)
        var last = (high / step).rounded(.down)
        if isRounded {
            // A value that is a tick but for its last bits needs no further one.
            first = (low / step + 1e-9).rounded(.down)
            last = (high / step - 1e-9).rounded(.up)
            (low, high) = (Swift.min(low, first * step), Swift.max(high, last * step))
        }
        (self.low, self.high) = (low, high)
        ticks = stride(from: first, through: last, by: 1).map {
            Tick(value: $0 * step, label: Self.text($0 * step, kind, step: step))
        }
    }

    /// Where a value lies, from 0 at the lower end to 1 at the upper one.
    public func position(_ value: Double) -> Double {
        // The quotient of a huge value and a tiny one is infinite, the difference of their logarithms isn't.
        isLogarithmic ? (log10(value) - log10(low)) / (log10(high) - log10(low)) : (value - low) / (high - low)
    }

    /// The smallest round number that is no less than `wanted`: 1, 2 or 5 with zeros, a whole one for counts; of seconds
    /// what divides minutes, hours and days.
    private static func roundStep(_ wanted: Double, _ kind: Kind) -> Double {
        if kind == .seconds, wanted > 5, wanted <= 345_600 {
            let steps: [Double] = [
                10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 345_600,
            ]
            return steps.first { $0 >= wanted } ?? wanted
        }
        if kind == .count, wanted <= 1 { return 1 }
        let power = pow(10, log10(wanted).rounded(.down))
        // The power itself may be a bit too large or too small.
        let factor = wanted / power
        return power * ([1, 2, 5].first { factor <= $0 * (1 + 1e-9) } ?? 10)
    }

    /// A value at an axis whose ticks are `step` apart.
    private static func text(_ value: Double, _ kind: Kind, step: Double) -> String {
        if value == 0 { return "0" }
        switch kind {
        case .seconds where step >= 1: return duration(value)
        case .count: return value.shortCount
        case .seconds, .number: break
        }
        if value.magnitude >= 1e6 || step < 1e-4 {
            let exponent = log10(value.magnitude * (1 + 1e-9)).rounded(.down)
            let mantissa = value / pow(10, exponent)
            var digits = mantissa.text(decimals: 3)
            while digits.hasSuffix("0") { digits.removeLast() }
            if digits.hasSuffix(".") { digits.removeLast() }
            return "\(digits)e\(Int(exponent))"
        }
        let text = value.text(decimals: Int(Swift.max(0, -log10(step * (1 + 1e-9)).rounded(.down))))
        return kind == .seconds ? text + " s" : text
    }

    /// `40 s`, `5 min`, `1 h`, `1:30 h`, `2 d`
    static func duration(_ value: Double) -> String {
        if value < 60 { return value.text(decimals: 0) + " s" }
        let seconds = Int(clamping: value.rounded())
        func clock(_ large: Int, _ small: Int, _ unit: String) -> String {
            small == 0 ? "\(large) \(unit)" : "\(large):\(small < 10 ? "0" : "")\(small) \(unit)"
        }
        if seconds < 3600 { return clock(seconds / 60, seconds % 60, "min") }
        if seconds < 86_400 || seconds % 43_200 != 0 { return clock(seconds / 3600, seconds % 3600 / 60, "h") }
        return seconds % 86_400 == 0 ? "\(seconds / 86_400) d" : "\(seconds / 86_400).5 d"
    }
}

extension Double {
    /// `1,500`, and above a hundred thousand `250k`, `1.5M`, `2G`.
    var shortCount: String {
        let units = ["", "k", "M", "G", "T", "P"]
        var (value, unit) = (self, 0)
        if value.magnitude >= 1e5 {
            while value.magnitude >= 1000, unit + 1 < units.count { (value, unit) = (value / 1000, unit + 1) }
        }
        if let whole = Int(exactly: value) { return whole.grouped + units[unit] }
        var digits = value.text(decimals: 3)
        while digits.hasSuffix("0") { digits.removeLast() }
        return digits + units[unit]
    }
}
