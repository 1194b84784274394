import Diagnostics
import Testing

@Suite("A collection of problems") struct ProblemCollectionTests {
    private func thrown(_ messages: [String], of total: Int?) -> String {
        var problems = ProblemCollection()
        for message in messages { problems.add(Problem(message, file: "a")) }
        #expect(problems.isEmpty == messages.isEmpty)
        do {
            try problems.throwAll(of: total, "records")
            return ""
        } catch { return "\(error)" }
    }

    @Test("throws nothing, one, the same of all, or the first twenty with how many more")
    func throwing() {
        #expect(thrown([], of: 3) == "")
        #expect(thrown(["x"], of: 1) == "a: error: x")
        #expect(thrown(["x", "x"], of: 2) == "a: error: x; it is so in all 2 records")
        #expect(thrown(["x", "x"], of: 3) == "a: error: x\na: error: x")
        #expect(thrown(["x", "x"], of: nil) == "a: error: x\na: error: x")
        #expect(thrown(["x", "y"], of: 2) == "a: error: x\na: error: y")
        let many = (0..<23).map { "\($0)" }
        let lines = many.prefix(20).map { "a: error: \($0)" } + ["error: 3 more records can't be used"]
        #expect(thrown(many, of: 40) == lines.joined(separator: "\n"))
    }

    @Test("takes what a body throws, and lets through what is no problem")
    func collecting() throws {
        struct Other: Error {}
        var problems = ProblemCollection()
        #expect(try problems.collect { 1 } == 1)
        #expect(try problems.collect { () -> Int in throw Problem("x") } == nil)
        #expect(!problems.isEmpty)
        #expect(throws: Other.self) { try problems.collect { throw Other() } }
    }
}
