extension SplitExpression {
    /// What one thread needs to match in one text.
    struct Search {
        fileprivate struct Way {
            var instruction: Int
            var index: Int
            /// Of a run: where it may end at the earliest; -1 otherwise.
            var earliest = -1
        }

        fileprivate var ways: [Way] = []
        fileprivate var budget: Int
        /// A bit for each instruction and place that has failed, once the budget is spent.
        fileprivate var failed: [UInt64]?

        init(length: Int) { budget = 2000 + length * 64 }
    }

    /// The next match at or behind `start` in the valid UTF-8 `text[range]`, outside of which nothing is looked at.
    func firstMatch(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, from start: Int, _ search: inout Search
    ) -> Range<Int>? {
        program.withUnsafeBufferPointer { program in
            var start = start
            while start < range.upperBound {
                let (code, length) = UnicodeClasses.decode(text, start)
                if first?.contains(code) ?? true, let end = match(text, range, at: start, program, &search) {
                    return start..<end
                }
                start += length
            }
            return nil
        }
    }

    private func match(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, at start: Int,
        _ program: UnsafeBufferPointer<Instruction>, _ search: inout Search
    ) -> Int? {
        if search.failed == nil {
            switch matchQuickly(text, range, at: start, program, &search) {
            case .found(let end): return end
            case .none: return nil
            case .tooLong: search.failed = [UInt64](repeating: 0, count: (range.count + 1) * program.count / 64 + 1)
            }
        }
        return matchNoting(text, range, at: start, program, &search)
    }

    private enum Outcome { case found(Int), none, tooLong }

    private func matchQuickly(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, at start: Int,
        _ program: UnsafeBufferPointer<Instruction>, _ search: inout Search
    ) -> Outcome {
        let end = range.upperBound
        var (instruction, index) = (0, start)
        search.ways.removeAll(keepingCapacity: true)
        while true {
            var holds = true
            search.budget -= 1
            switch program[instruction] {
            case .found: return .found(index)
            case .character(let set):
                if let length = length(text, index, end, set) { index += length } else { holds = false }
            case .branch(let other, let first):
                if let first, length(text, index, end, first) == nil {
                    instruction = other
                    continue
                }
                search.ways.append(.init(instruction: other, index: index))
            case .lazyBranch(let other):
                search.ways.append(.init(instruction: instruction + 1, index: index))
                instruction = other
                continue
            case .jump(let target):
                instruction = target
                continue
            case .run(let set, let least, let most, let isPossessive):
                let runStart = index
                var earliest = index
                var count = 0
                while count < most, let length = length(text, index, end, set) {
                    index += length
                    count += 1
                    if count == least { earliest = index }
                }
                search.budget -= (index - runStart) >> 3
                if count < least {
                    holds = false
                } else if !isPossessive, index > earliest {
                    search.ways.append(.init(instruction: instruction + 1, index: index, earliest: earliest))
                }
            case .look(let set, let isAhead, let isNegative):
                holds = isThere(text, range, index, set, isAhead: isAhead) != isNegative
            }
            if holds {
                instruction += 1
                continue
            }
            if search.budget < 0 { return .tooLong }
            guard var way = search.ways.popLast() else { return .none }
            if way.earliest >= 0 {
                way.index = Self.previous(text, way.index)
                if way.index > way.earliest { search.ways.append(way) }
            }
            (instruction, index) = (way.instruction, way.index)
        }
    }

    /// The same, a character at a time, where no instruction runs twice at one place unless it led to a match.
    private func matchNoting(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, at start: Int,
        _ program: UnsafeBufferPointer<Instruction>, _ search: inout Search
    ) -> Int? {
        guard var failed = search.failed.take() else { return nil }
        defer { search.failed = failed }
        let end = range.upperBound
        var (instruction, index) = (0, start)
        search.ways.removeAll(keepingCapacity: true)
        while true {
            var holds = true
            let bit = (index - range.lowerBound) * program.count + instruction
            if failed[bit >> 6] >> UInt64(bit & 63) & 1 != 0 {
                holds = false
            } else {
                failed[bit >> 6] |= 1 << UInt64(bit & 63)
                switch program[instruction] {
                case .found:
                    // Other ways may end here, and have not failed.
                    let first = (index - range.lowerBound) * program.count
                    for bit in first..<first + program.count { failed[bit >> 6] &= ~(1 << UInt64(bit & 63)) }
                    return index
                case .character(let set):
                    if let length = length(text, index, end, set) { index += length } else { holds = false }
                case .branch(let other, _): search.ways.append(.init(instruction: other, index: index))
                case .lazyBranch(let other):
                    search.ways.append(.init(instruction: instruction + 1, index: index))
                    instruction = other
                    continue
                case .jump(let target):
                    instruction = target
                    continue
                case .run(let set, let least, let most, let isPossessive):
                    holds = appendRun(
                        text, &index, end, set, least, most, isPossessive, instruction, &search, failed, bit)
                case .look(let set, let isAhead, let isNegative):
                    holds = isThere(text, range, index, set, isAhead: isAhead) != isNegative
                }
            }
            if holds {
                instruction += 1
                continue
            }
            guard var way = search.ways.popLast() else { return nil }
            if way.earliest >= 0 {
                way.index = Self.previous(text, way.index)
                if way.index > way.earliest { search.ways.append(way) }
            }
            (instruction, index) = (way.instruction, way.index)
        }
    }

    /// Goes along a run; one without limits that has failed at a later place of the same run needn't be followed beyond it.
    private func appendRun(
        _ text: UnsafePointer<UInt8>, _ index: inout Int, _ end: Int, _ set: Int, _ least: Int, _ most: Int,
        _ isPossessive: Bool, _ instruction: Int, _ search: inout Search, _ failed: [UInt64], _ bit: Int
    ) -> Bool {
        let start = index
        var earliest = index
        var count = 0
        while count < most, let length = length(text, index, end, set) {
            index += length
            count += 1
            if count == least { earliest = index }
            // From here on every end was tried, and failed.
            let place = bit + (index - start) * program.count
            if most == .max, isPossessive, count >= least, least <= 1, index < end,
                failed[place >> 6] >> UInt64(place & 63) & 1 != 0, self.length(text, index, end, set) != nil
            {
                return false
            }
            if !isPossessive, most == .max, count >= max(least, 1), failed[place >> 6] >> UInt64(place & 63) & 1 != 0 {
                var last = index
                for _ in 0..<least where last < end {
                    guard let length = self.length(text, last, end, set) else { break }
                    last += length
                }
                index = last
                break
            }
        }
        if count < least { return false }
        if !isPossessive, index > earliest {
            search.ways.append(.init(instruction: instruction + 1, index: index, earliest: earliest))
        }
        return true
    }

    /// The length of the character at `index` where it is one of the set.
    @inline(__always)
    private func length(_ text: UnsafePointer<UInt8>, _ index: Int, _ end: Int, _ set: Int) -> Int? {
        if index >= end { return nil }
        let (code, length) = UnicodeClasses.decode(text, index)
        return sets[set].contains(code) ? length : nil
    }

    private func isThere(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ index: Int, _ set: Int, isAhead: Bool
    ) -> Bool {
        if isAhead { return length(text, index, range.upperBound, set) != nil }
        return index > range.lowerBound && length(text, Self.previous(text, index), range.upperBound, set) != nil
    }

    /// The start of the character that ends in front of `index`.
    @inline(__always)
    private static func previous(_ text: UnsafePointer<UInt8>, _ index: Int) -> Int {
        var index = index - 1
        while text[index] & 0xC0 == 0x80 { index -= 1 }
        return index
    }
}
