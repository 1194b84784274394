/// A look around, whose program ends where it succeeds.
struct Look {
    let program: Program
    let isNegative: Bool
}

/// Turns a parsed expression into programs.
struct Compiler {
    /// Instructions of an expression, and the most that a repeat counts to.
    static let limit = 20_000

    private(set) var looks: [Look] = []
    /// Whether the first group stands outside of every look around, so that what it captures is known.
    private(set) var capturesFirstGroup = false
    private var depth = 0
    private var instructions: [Instruction] = []
    private var isReversed = false
    private var work = 0

    /// - Parameter isReversed: For a program that reads the text from its end.
    mutating func program(_ node: PatternNode, isReversed: Bool) throws(PatternError) -> Program {
        let outer = (instructions, self.isReversed)
        (instructions, self.isReversed) = ([], isReversed)
        defer { (instructions, self.isReversed) = outer }
        try add(node)
        instructions.append(.accept)
        return Program(instructions: instructions, isReversed: isReversed)
    }

    private mutating func add(_ node: PatternNode) throws(PatternError) {
        work += 1
        if work > Self.limit { throw PatternError("the expression is larger than is supported", at: 1) }
        switch node {
        case .empty: break
        case .characters(let choice): instructions.append(.characters(choice))
        case .anchor(let anchor): instructions.append(.anchor(anchor))
        case .look(let inner, let isAhead, let isNegative):
            // From every end of the text to here.
            depth += 1
            let program = try program(inner, isReversed: isAhead)
            depth -= 1
            looks.append(Look(program: program, isNegative: isNegative))
            instructions.append(.look(looks.count - 1))
        case .group(let inner, let number):
            guard number == 1, depth == 0 else { return try add(inner) }
            capturesFirstGroup = true
            instructions.append(.save(isEnd: false))
            try add(inner)
            instructions.append(.save(isEnd: true))
        case .sequence(let nodes):
            for node in isReversed ? nodes.reversed() : nodes { try add(node) }
        case .alternatives(let nodes): try add(alternatives: nodes)
        case .repeated(let inner, let least, let most, let isLazy):
            for _ in 0..<least { try add(inner) }
            try add(inner, atMost: most.map { $0 - least }, isLazy: isLazy)
        }
    }

    private mutating func add(alternatives nodes: [PatternNode]) throws(PatternError) {
        var jumps: [Int] = []
        for node in nodes.dropLast() {
            let split = instructions.count
            instructions.append(.split(split + 1, 0))
            try add(node)
            jumps.append(instructions.count)
            instructions.append(.jump(0))
            instructions[split] = .split(split + 1, instructions.count)
        }
        if let last = nodes.last { try add(last) }
        for jump in jumps { instructions[jump] = .jump(instructions.count) }
    }

    /// Any number of repeats, or some.
    private mutating func add(_ node: PatternNode, atMost most: Int?, isLazy: Bool) throws(PatternError) {
        func split(_ inside: Int, _ outside: Int) -> Instruction {
            isLazy ? .split(outside, inside) : .split(inside, outside)
        }
        guard let most else {
            let start = instructions.count
            instructions.append(.jump(0))
            try add(node)
            instructions.append(.jump(start))
            instructions[start] = split(start + 1, instructions.count)
            return
        }
        var splits: [Int] = []
        for _ in 0..<most {
            splits.append(instructions.count)
            instructions.append(.jump(0))
            try add(node)
        }
        for place in splits { instructions[place] = split(place + 1, instructions.count) }
    }
}

enum Instruction {
    case characters(CharacterChoice)
    case anchor(Anchor)
    /// Goes on where the look of this number succeeds.
    case look(Int)
    /// The first group's beginning or end.
    case save(isEnd: Bool)
    /// Tries the first way before the second.
    case split(Int, Int)
    case jump(Int)
    case accept
}

/// The instructions of an expression, run for all ways through them at once.
struct Program {
    let instructions: [Instruction]
    let isReversed: Bool

    /// A place in the program with what the first group has captured.
    struct Thread {
        var place: Int
        var start: Int?
        var end: Int?
    }

    /// The threads of one position, each place once.
    private struct Threads {
        var list: [Thread] = []
        private var seen: [Int]

        init(count: Int) { seen = [Int](repeating: -1, count: count) }

        mutating func insert(_ place: Int, at position: Int) -> Bool {
            if seen[place] == position { return false }
            seen[place] = position
            return true
        }
    }

    /// Adds a thread and all that it reaches without reading, by priority.
    private func follow(
        _ thread: Thread, at position: Int, in text: Scalars, _ looks: [[Bool]], _ threads: inout Threads
    ) {
        var pending = [thread]
        while var thread = pending.popLast() {
            guard threads.insert(thread.place, at: position) else { continue }
            switch instructions[thread.place] {
            case .characters, .accept: threads.list.append(thread)
            case .anchor(let anchor):
                if !anchor.holds(at: position, in: text.values) { continue }
                thread.place += 1
                pending.append(thread)
            case .look(let number):
                if !looks[number][position] { continue }
                thread.place += 1
                pending.append(thread)
            case .save(let isEnd):
                if isEnd { thread.end = position } else { thread.start = position }
                thread.place += 1
                pending.append(thread)
            case .split(let first, let second):
                var other = thread
                (thread.place, other.place) = (first, second)
                pending.append(other)
                pending.append(thread)
            case .jump(let place):
                thread.place = place
                pending.append(thread)
            }
        }
    }

    private func takes(_ thread: Thread, _ value: UInt32) -> Bool {
        if case .characters(let choice) = instructions[thread.place] { choice.contains(value) } else { false }
    }

    private func isAccepting(_ thread: Thread) -> Bool {
        if case .accept = instructions[thread.place] { true } else { false }
    }

    /// At which positions, as many as the text has characters and one, a match ends that begins at `start`, or anywhere
    /// where that is nil.
    func endings(in text: Scalars, _ looks: [[Bool]], startingAt start: Int?) -> [Bool] {
        let count = text.values.count
        var endings = [Bool](repeating: false, count: count + 1)
        var (current, next) = (Threads(count: instructions.count), Threads(count: instructions.count))
        for step in 0...count {
            let position = isReversed ? count - step : step
            if start == nil || start == position {
                follow(Thread(place: 0), at: position, in: text, looks, &current)
            }
            endings[position] = current.list.contains(where: isAccepting)
            next.list = []
            if step < count {
                let value = text.values[isReversed ? position - 1 : position]
                for thread in current.list where takes(thread, value) {
                    follow(
                        Thread(place: thread.place + 1), at: isReversed ? position - 1 : position + 1, in: text, looks,
                        &next)
                }
            }
            swap(&current, &next)
        }
        return endings
    }

    /// Where the first group lies in the first match of the text; nil where there is none.
    func firstGroup(in text: Scalars, _ looks: [[Bool]]) -> Range<Int>? {
        let count = text.values.count
        var found: Thread?
        var (current, next) = (Threads(count: instructions.count), Threads(count: instructions.count))
        for position in 0...count {
            if found == nil { follow(Thread(place: 0), at: position, in: text, looks, &current) }
            if current.list.isEmpty, found != nil { break }
            next.list = []
            for thread in current.list {
                if isAccepting(thread) {
                    // Those behind it are of lower priority.
                    found = thread
                    break
                }
                guard position < count, takes(thread, text.values[position]) else { continue }
                var moved = thread
                moved.place += 1
                follow(moved, at: position + 1, in: text, looks, &next)
            }
            swap(&current, &next)
        }
        guard let start = found?.start, let end = found?.end, start <= end else { return nil }
        return start..<end
    }
}
