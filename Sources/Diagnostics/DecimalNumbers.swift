extension Double {
    /// The value with that many digits behind the point, `12.30`; `nan` and `inf` as such.
    package func text(decimals: Int) -> String {
        var factor = 1.0
        for _ in 0..<decimals { factor *= 10 }
        guard magnitude < 1e15, let scaled = Int(exactly: (magnitude * factor).rounded(.toNearestOrEven)) else {
            return "\(self)"
        }
        let sign = self < 0 && scaled > 0 ? "-" : ""
        if decimals == 0 { return sign + String(scaled) }
        let digits = String(repeating: "0", count: Swift.max(0, decimals + 1 - String(scaled).count)) + String(scaled)
        return sign + digits.dropLast(decimals) + "." + digits.suffix(decimals)
    }
}
