import Testing
import Training

@Suite("A rank's share of a micro-batch")
struct RankShareTests {
    private func shares(_ lengths: [Int], _ count: Int) -> [Range<Int>] {
        (0..<count).map { rankShare(of: lengths, rank: $0, count: count) }
    }

    @Test("is as many records as the others', where all are as long")
    func even() {
        #expect(shares([5, 5, 5, 5, 5, 5], 3) == [0..<2, 2..<4, 4..<6])
        #expect(shares([7, 7, 7, 7], 4) == [0..<1, 1..<2, 2..<3, 3..<4])
    }

    @Test("is about as many tokens otherwise, of consecutive records")
    func uneven() {
        #expect(shares([12, 4, 4, 4], 2) == [0..<1, 1..<4])
        #expect(shares([1, 1, 1, 1, 20], 2) == [0..<4, 4..<5])
    }

    @Test("may be nothing, and all shares together are everything once")
    func whole() {
        #expect(shares([3], 3) == [0..<0, 0..<1, 1..<1])
        #expect(shares([], 2) == [0..<0, 0..<0])
        for count in 1...7 {
            for records in 0...9 {
                let found = shares((0..<records).map { ($0 * 37 + count) % 11 + 1 }, count)
                #expect(found.flatMap(Array.init) == Array(0..<records))
            }
        }
    }
}
