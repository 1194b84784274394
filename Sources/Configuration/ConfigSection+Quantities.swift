import Diagnostics

/// Reads of values that have a unit, or a word in the place of a number.
extension ConfigSection {
    /// A whole number, or nil where `word` stands for one that is to be found.
    public func int(
        _ key: String, orWord word: String, default value: Int, in limit: (any ValueLimit<Int>)?
    ) -> Int? {
        let number = Self.integer(limit)
        let reading = Reading<Int?>(
            "integer, or \(word)", { $0.map(ConfigValue.integer) ?? .string(word) }
        ) { node in
            if case .scalar(word, _) = node.content { return .success(nil) }
            return number.parse(node).map { $0 }
        }
        return read(key, reading, default: value)
    }

    /// Seconds, written as `2h`, `1h30m`, `90m` or `45s`; nil where it is absent.
    public func optionalDuration(_ key: String) -> Double? {
        guard let text = optionalString(key) else { return nil }
        let units: [Character: Double] = ["d": 86_400, "h": 3600, "m": 60, "s": 1]
        var (seconds, digits, last) = (0.0, "", Double.infinity)
        for character in text {
            if character.isASCII, character.isNumber || character == "." {
                digits.append(character)
                continue
            }
            guard let unit = units[character], unit < last, let number = Double(digits) else {
                seconds = .nan
                break
            }
            (seconds, digits, last) = (seconds + number * unit, "", unit)
        }
        guard seconds > 0, digits.isEmpty, seconds < 1e9 else {
            record("expected a time such as 2h, 1h30m, 90m or 45s, got '\(text)'", at: key)
            return nil
        }
        return seconds
    }

    /// Bytes, written as `8GB`, `500MB` or `16GiB`; nil where it is absent.
    public func optionalByteCount(_ key: String) -> Int? {
        guard let text = optionalString(key) else { return nil }
        let units = [
            "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 1024, "MIB": 1_048_576, "GIB": 1_073_741_824,
            "TIB": 1_099_511_627_776.0,
        ]
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(digits.count).filter { $0 != " " }.uppercased()
        guard let number = Double(digits), let factor = units[unit], number * factor >= 1, number * factor < 1e18 else {
            record("expected a size such as 8GB, 500MB or 16GiB, got '\(text)'", at: key)
            return nil
        }
        return Int(number * factor)
    }
}
