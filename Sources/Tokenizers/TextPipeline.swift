/// What happens to a text between its added tokens before the merges: changes, then cuts.
struct TextPipeline: Sendable {
    enum Step: Sendable {
        case split(SplitRule)
        /// Spaces become a visible character, with one in front.
        case metaspace(replacement: [UInt8], Prefix, splits: Bool)
        /// Puts a space in front of a piece that doesn't begin with one.
        case prefixSpace
    }

    enum Prefix: String, Sendable { case always, first, never }

    var normalizers: [TextNormalizer] = []
    var steps: [Step] = []

    /// - Parameter isEnd: Whether no other text stands behind.
    func normalized(_ text: UnsafeBufferPointer<UInt8>, _ place: inout TextPlace, isEnd: Bool) -> [UInt8] {
        normalizers.reduce(Array(text)) { $1.apply(to: $0, &place, isEnd: isEnd) }
    }

    /// Calls `body` with each word of `text[range]`.
    func split(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ place: TextPlace, step: Int = 0,
        _ body: (UnsafePointer<UInt8>, Range<Int>) -> Void
    ) {
        if range.isEmpty { return }
        if step == steps.count { return body(text, range) }
        switch steps[step] {
        case .split(let rule): split(text, range, by: rule, place, next: step + 1, body)
        case .prefixSpace:
            if text[range.lowerBound] == UInt8(ascii: " ") || place == .continuation {
                return split(text, range, place, step: step + 1, body)
            }
            let changed = [UInt8(ascii: " ")] + UnsafeBufferPointer(start: text + range.lowerBound, count: range.count)
            changed.withUnsafeBufferPointer { changed in
                guard let start = changed.baseAddress else { return }
                split(start, 0..<changed.count, place, step: step + 1, body)
            }
        case .metaspace(let replacement, let prefix, let splits):
            var changed: [UInt8] = []
            changed.reserveCapacity(range.count * 2)
            for byte in UnsafeBufferPointer(start: text + range.lowerBound, count: range.count) {
                if byte == UInt8(ascii: " ") { changed += replacement } else { changed.append(byte) }
            }
            let isPrefixed =
                switch prefix {
                case .always: place != .continuation
                case .first: place == .start
                case .never: false
                }
            if isPrefixed, !changed.starts(with: replacement) { changed = replacement + changed }
            changed.withUnsafeBufferPointer { changed in
                guard let start = changed.baseAddress else { return }
                if !splits { return split(start, 0..<changed.count, place, step: step + 1, body) }
                let rule = SplitRule(separator: .text(replacement), behavior: .mergedWithNext)
                split(start, 0..<changed.count, by: rule, place, next: step + 1, body)
            }
        }
    }

    private func split(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, by rule: SplitRule, _ place: TextPlace, next step: Int,
        _ body: (UnsafePointer<UInt8>, Range<Int>) -> Void
    ) {
        if step == steps.count { return rule.split(text, range) { body(text, $0) } }
        rule.split(text, range) { piece in
            split(text, piece, piece.lowerBound == range.lowerBound ? place : .inside, step: step, body)
        }
    }
}
