/// A set of code points, made of ranges and asked by a table: a bitmap for every 256 code points that aren't all alike.
struct CodePointSet: Sendable {
    /// Ascending, apart from one another.
    private(set) var ranges: [ClosedRange<UInt32>]

    static let all = CodePointSet(0...0x10FFFF)
    static let letters = CodePointSet { $0 & 3 == UnicodeClasses.letter }
    static let numbers = CodePointSet { $0 & 3 == UnicodeClasses.number }
    static let wordCharacters = CodePointSet { $0 & UnicodeClasses.wordFlag != 0 }
    /// As the tokenizers library knows it: that of Unicode 8 and all signs of ASCII.
    static let punctuation: CodePointSet = {
        let categories: Set<Unicode.GeneralCategory> = [
            .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation,
        ]
        let known = CodePointSet { scalar in
            scalar.properties.age.map { $0.major <= 8 } ?? false
                && categories.contains(scalar.properties.generalCategory)
        }
        return known.union(
            CodePointSet(0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E, 0x166D...0x166D, 0x111C9...0x111C9))
    }()
    static let spaces = CodePointSet { $0 & 3 == UnicodeClasses.space }

    init(_ ranges: ClosedRange<UInt32>...) { self.init(ranges) }

    init(_ ranges: [ClosedRange<UInt32>]) {
        var merged: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, range.lowerBound <= last.upperBound + 1 {
                merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        self.ranges = merged
    }

    private init(_ contains: (UnicodeScalar) -> Bool) {
        self.init((UInt32(0)..<0x110000).filter { UnicodeScalar($0).map(contains) ?? false }.map { $0...$0 })
    }

    /// The code points whose flags in the table of the tokenizers library say so.
    private init(_ contains: (UInt8) -> Bool) {
        let runs = UnicodeClasses.runs
        var found: [ClosedRange<UInt32>] = []
        for (index, run) in runs.enumerated() where contains(UInt8(run & 7)) {
            let end = index + 1 < runs.count ? runs[index + 1] >> 3 : 0x110000
            found.append(run >> 3...end - 1)
        }
        self.init(found)
    }

    /// The code points of some general categories.
    init(categories: Set<Unicode.GeneralCategory>) {
        let runs = Self.categoryRuns
        var found: [ClosedRange<UInt32>] = []
        for (index, run) in runs.enumerated() where categories.contains(run.category) {
            let end = index + 1 < runs.count ? runs[index + 1].start : 0x110000
            found.append(run.start...end - 1)
        }
        self.init(found)
    }

    /// The runs of code points of one category. Those that came to Unicode after the version of the tokenizers library are
    /// unassigned.
    private static let categoryRuns: [(start: UInt32, category: Unicode.GeneralCategory)] = {
        var runs: [(start: UInt32, category: Unicode.GeneralCategory)] = []
        for code in UInt32(0)..<0x110000 {
            var category = Unicode.GeneralCategory.surrogate
            if let properties = Unicode.Scalar(code)?.properties {
                let isKnown = properties.age.map { $0.major <= 16 } ?? false
                category = isKnown ? properties.generalCategory : .unassigned
            }
            if runs.last?.category != category { runs.append((code, category)) }
        }
        return runs
    }()

    var inverted: CodePointSet {
        var found: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { found.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        if next <= 0x10FFFF { found.append(next...0x10FFFF) }
        return CodePointSet(found)
    }

    func union(_ other: CodePointSet) -> CodePointSet { CodePointSet(ranges + other.ranges) }

    func intersection(_ other: CodePointSet) -> CodePointSet { inverted.union(other.inverted).inverted }

    /// With what an expression that ignores case takes for ASCII letters beside them; nil where other characters than
    /// these could have cases.
    func ignoringCase() -> CodePointSet? {
        if sameRanges(as: .letters) || sameRanges(as: .letters.inverted) { return self }
        guard ranges.allSatisfy({ $0.upperBound < 0x80 }) else { return nil }
        var found = ranges
        for code in ranges.joined() {
            switch code {
            case 0x41...0x5A, 0x61...0x7A:
                found.append(code ^ 0x20...code ^ 0x20)
                // The long s, and the sign of the kelvin.
                if code | 0x20 == 0x73 { found.append(0x17F...0x17F) }
                if code | 0x20 == 0x6B { found.append(0x212A...0x212A) }
            default: continue
            }
        }
        return CodePointSet(found)
    }

    private func sameRanges(as other: CodePointSet) -> Bool { ranges == other.ranges }
}

/// The table by which a set of code points is asked.
struct CodePointTable: Sendable {
    private var pages = [UInt16](repeating: 0, count: 0x1100)
    private var words: [UInt64]
    private let ascii: (UInt64, UInt64)

    init(_ set: CodePointSet) {
        // The first two pages hold nothing and everything.
        words = [0, 0, 0, 0, .max, .max, .max, .max]
        for range in set.ranges {
            for page in range.lowerBound >> 8...range.upperBound >> 8 {
                let first = max(range.lowerBound, page << 8) & 255
                let last = min(range.upperBound, page << 8 | 255) & 255
                if first == 0, last == 255 {
                    pages[Int(page)] = 1
                    continue
                }
                if pages[Int(page)] == 0 {
                    pages[Int(page)] = UInt16(words.count / 4)
                    words += [0, 0, 0, 0]
                }
                let start = Int(pages[Int(page)]) * 4
                for code in first...last { words[start + Int(code >> 6)] |= 1 << UInt64(code & 63) }
            }
        }
        let start = Int(pages[0]) * 4
        ascii = (words[start], words[start + 1])
    }

    @inline(__always)
    func contains(_ code: UInt32) -> Bool {
        if code < 64 { return ascii.0 >> UInt64(code) & 1 != 0 }
        if code < 128 { return ascii.1 >> UInt64(code & 63) & 1 != 0 }
        return words[Int(pages[Int(code >> 8)]) * 4 + Int(code >> 6 & 3)] >> UInt64(code & 63) & 1 != 0
    }
}
