import Diagnostics

extension Int {
    /// A number of bytes: `512 bytes`, `12.3 MB`.
    var asBytes: String {
        let units = ["kB", "MB", "GB", "TB"]
        if self < 1000 { return "\(self) bytes" }
        var value = Double(self) / 1000
        var unit = 0
        while value >= 999.95, unit + 1 < units.count {
            value /= 1000
            unit += 1
        }
        return "\(value.text(decimals: 1)) \(units[unit])"
    }
}

extension Double {
    /// A number of seconds: `8 s`, `3:05`, `1:02:03`.
    var asDuration: String {
        guard isFinite, self >= 0, self < 1e9 else { return "?" }
        let seconds = Int(rounded())
        if seconds < 60 { return "\(seconds) s" }
        let padded = { (value: Int) in value < 10 ? "0\(value)" : "\(value)" }
        let (minutes, rest) = (seconds / 60, padded(seconds % 60))
        return minutes < 60 ? "\(minutes):\(rest)" : "\(minutes / 60):\(padded(minutes % 60)):\(rest)"
    }
}

extension Double {
    /// `2.00e-4`, and 0 as `0`.
    var scientific: String {
        guard isFinite, self != 0 else { return self == 0 ? "0" : "\(self)" }
        var (value, exponent) = (magnitude, 0)
        while value >= 9.995 { (value, exponent) = (value / 10, exponent + 1) }
        while value < 0.9995 { (value, exponent) = (value * 10, exponent - 1) }
        return (self < 0 ? "-" : "") + value.text(decimals: 2) + "e\(exponent)"
    }
}

extension String {
    /// The text with spaces behind it up to `width` characters.
    func padded(_ width: Int) -> String { self + String(repeating: " ", count: Swift.max(0, width - count)) }

    /// The text with spaces in front of it up to `width` characters.
    func leftPadded(_ width: Int) -> String { String(repeating: " ", count: Swift.max(0, width - count)) + self }
}
