import Diagnostics
import Glibc

/// How several continuations of a prompt are followed at a time; by the names of transformers' `generate`.
public struct BeamSettings: Sendable, Hashable {
    /// When a search ends before the longest text.
    public enum EarlyStopping: String, Sendable, CaseIterable {
        /// Once no beam can get better than the worst complete text, as far as it is long now.
        case no = "false"
        /// Once there are as many complete texts as beams.
        case yes = "true"
        /// Once no beam can get better at any length.
        case never
    }

    /// Beams of a prompt, above 1.
    public var count: Int
    /// A text's score is the sum of its tokens' log p, divided by its length to this power.
    public var lengthPenalty: Double
    public var earlyStopping: EarlyStopping
    /// How many of the best texts are given out.
    public var returnedCount: Int

    public init(count: Int, lengthPenalty: Double, earlyStopping: EarlyStopping, returnedCount: Int) {
        require(
            count > 1 && (1...count).contains(returnedCount), "BeamSettings: \(returnedCount) of \(count) beams")
        (self.count, self.lengthPenalty, self.earlyStopping) = (count, lengthPenalty, earlyStopping)
        self.returnedCount = returnedCount
    }
}

/// The search for one prompt: the beams that go on and the best complete texts so far, as transformers keeps them, in
/// single precision.
struct BeamSearch {
    /// A continuation that may be followed.
    struct Candidate {
        /// The sum of its tokens' log p.
        let score: Float
        let beam: Int
        let token: Int32
    }

    struct Beam {
        var tokens: [Int32] = []
        var score: Float = 0
        /// Which of the prompt's sequences in the cache it is.
        var slot = 0
    }

    struct Text {
        var tokens: [Int32] = []
        var score = BeamSearch.nothing
        var isComplete = false
    }

    /// What takes part in a slot's place, and where from: `tokens` of those that came are the same in both.
    struct Copy {
        let source: Int
        let target: Int
        let tokens: Int
    }

    /// What stands for no score: low enough to come last, and not infinite.
    static let nothing: Float = -1e9

    private let settings: BeamSettings
    private let endIDs: Set<Int32>
    /// New tokens at most.
    private let limit: Int
    private(set) var beams: [Beam]
    private(set) var texts: [Text]
    private var canImprove = true
    private(set) var isDone = false

    init(_ settings: BeamSettings, endIDs: Set<Int32>, limit: Int) {
        (self.settings, self.endIDs, self.limit) = (settings, endIDs, limit)
        // At first all are the prompt, and only one may be followed.
        beams = (0..<settings.count).map { Beam(score: $0 == 0 ? 0 : Self.nothing, slot: $0) }
        texts = (0..<settings.count).map { _ in Text() }
    }

    /// How many candidates a step looks at: enough for all beams to go on where each may end.
    var candidateCount: Int { max(2, 1 + endIDs.count) * settings.count }

    /// How many tokens came.
    var length: Int { beams[0].tokens.count }

    /// Takes the best candidates of all beams, any number and in any order, and follows those that aren't complete.
    ///
    /// - Parameter isStopped: Whether a text is complete, for another reason than the token that ends it.
    /// - Returns: What has to become of the slots before they go on.
    mutating func advance(_ all: [Candidate], isStopped: ([Int32]) -> Bool) -> [Copy] {
        let candidates = all.sorted {
            $0.score == $1.score ? ($0.beam, $0.token) < ($1.beam, $1.token) : $0.score > $1.score
        }.prefix(candidateCount)
        let newLength = length + 1
        let isComplete = candidates.map { candidate in
            newLength == limit || endIDs.contains(candidate.token)
                || isStopped(beams[candidate.beam].tokens + [candidate.token])
        }
        let before = beams
        let next = zip(candidates, isComplete).map { candidate, isComplete in
            Candidate(
                score: candidate.score + (isComplete ? Self.nothing : 0), beam: candidate.beam, token: candidate.token)
        }.stablySorted(by: \.score).prefix(settings.count)
        collect(Array(zip(candidates, isComplete)), newLength)
        let copies = follow(Array(next), from: before)
        check(newLength, allAreComplete: isComplete.allSatisfy { $0 })
        return copies
    }

    /// Puts complete candidates among the texts.
    private mutating func collect(_ candidates: [(Candidate, Bool)], _ newLength: Int) {
        let isFull = texts.allSatisfy(\.isComplete) && settings.earlyStopping == .yes
        let divisor = Float(pow(Double(newLength), settings.lengthPenalty))
        let added = candidates.enumerated().map { place, item in
            // Those behind the first are there to go on alone.
            let isComplete = item.1 && place < settings.count
            var score = item.0.score / divisor
            if isFull { score += Self.nothing }
            if !canImprove { score += Self.nothing }
            if !isComplete { score += Self.nothing }
            return Text(tokens: beams[item.0.beam].tokens + [item.0.token], score: score, isComplete: isComplete)
        }
        texts = Array((texts + added).stablySorted(by: \.score).prefix(settings.count))
    }

    /// Makes the candidates the beams. The first of a beam's keeps its slot, another takes the slot of a beam that nothing
    /// follows, the one that has most in common with it.
    private mutating func follow(_ next: [Candidate], from before: [Beam]) -> [Copy] {
        var free = before.indices.filter { beam in !next.contains { $0.beam == beam } }
        var followed: Set<Int> = []
        var copies: [Copy] = []
        beams = next.map { candidate in
            let parent = before[candidate.beam]
            var slot = parent.slot
            if !followed.insert(candidate.beam).inserted {
                let shared = free.map { Self.commonCount(before[$0].tokens, parent.tokens) }
                let best = shared.indices.max { shared[$0] < shared[$1] } ?? 0
                slot = before[free[best]].slot
                copies.append(Copy(source: parent.slot, target: slot, tokens: shared[best]))
                free.remove(at: best)
            }
            return Beam(tokens: parent.tokens + [candidate.token], score: candidate.score, slot: slot)
        }
        return copies
    }

    private static func commonCount(_ a: [Int32], _ b: [Int32]) -> Int {
        var count = 0
        while count < min(a.count, b.count), a[count] == b[count] { count += 1 }
        return count
    }

    private mutating func check(_ newLength: Int, allAreComplete: Bool) {
        let length = settings.earlyStopping == .never && settings.lengthPenalty > 0 ? limit : newLength
        let best = beams[0].score / Float(pow(Double(length), settings.lengthPenalty))
        let worst = texts.map(\.score).min() ?? Self.nothing
        canImprove = canImprove && texts.contains { best > ($0.isComplete ? worst : Self.nothing) }
        let isFull = texts.allSatisfy(\.isComplete) && settings.earlyStopping == .yes
        isDone = !canImprove || isFull || allAreComplete
    }
}

extension Sequence {
    /// In descending order of a value, equals as they stand.
    fileprivate func stablySorted(by value: KeyPath<Element, Float>) -> [Element] {
        enumerated().sorted {
            let (a, b) = ($0.element[keyPath: value], $1.element[keyPath: value])
            return a == b ? $0.offset < $1.offset : a > b
        }.map(\.element)
    }
}
