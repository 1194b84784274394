import Diagnostics
import Ranks
import Testing

@Suite("The processors of a rank")
struct ProcessorShareTests {
    private func place(_ host: String, _ processors: Range<Int>, of reachable: Int, wanted: Int = 0)
        -> ProcessorShare.Place
    {
        var words: [UInt64] = [0, 0]
        for processor in processors { words[processor / 64] |= 1 << UInt64(processor % 64) }
        return .init(host: host, processors: words, reachable: reachable, wanted: wanted)
    }

    private func shares(_ places: [ProcessorShare.Place]) -> [ProcessorShare] {
        places.indices.map { ProcessorShare(of: $0, among: places, unbinding: "--bind-to none") }
    }

    @Test("are those of its machine, shared with the ranks there")
    func shared() {
        let found = shares([place("a", 0..<8, of: 8), place("b", 0..<70, of: 70), place("a", 0..<8, of: 8)])
        #expect(found.map(\.threads) == [4, 70, 4])
        #expect(found.flatMap(\.warnings).isEmpty)
        #expect(shares([place("a", 0..<8, of: 8), place("a", 0..<8, of: 8), place("a", 0..<8, of: 8)])[2].threads == 2)
    }

    @Test("are those that it is bound to, where the others have their own")
    func bound() {
        let found = shares([place("a", 0..<4, of: 8), place("a", 4..<8, of: 8)])
        #expect(found.map(\.threads) == [4, 4])
        #expect(found.flatMap(\.warnings).isEmpty)
    }

    @Test("are too few where the launcher binds ranks and leaves others idle")
    func idle() {
        let found = shares([place("a", 0..<1, of: 8), place("a", 1..<2, of: 8)])
        #expect(found.map(\.threads) == [1, 1])
        let expected = Problem(
            "on a the launcher binds the 2 processes to 2 of 8 processors, and the others stay idle: give mpirun --bind-to none",
            severity: .warning)
        #expect(found.map(\.warnings) == [[expected], [expected]])
        // Who wants one thread each has what they want.
        #expect(shares([place("a", 0..<1, of: 8, wanted: 1), place("a", 1..<2, of: 8, wanted: 1)])[0].warnings.isEmpty)
    }

    @Test("are too few where more threads want them")
    func crowded() {
        let found = shares((0..<3).map { _ in place("a", 0..<2, of: 2) })
        #expect(found.map(\.threads) == [1, 1, 1])
        #expect(
            found[0].warnings == [
                Problem(
                    "on a the 3 processes calculate with 3 threads on 2 processors, and wait for each other: start fewer "
                        + "processes there, or give fewer --threads", severity: .warning)
            ])
        let eager = shares((0..<2).map { _ in place("a", 0..<2, of: 2, wanted: 2) })
        #expect(
            eager[0].warnings.map(\.message) == [
                "on a the 2 processes calculate with 4 threads on 2 processors, and wait for each other: start fewer "
                    + "processes there, or give fewer --threads"
            ])
    }
}
