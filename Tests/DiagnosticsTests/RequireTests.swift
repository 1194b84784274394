import Diagnostics
import Testing

struct RequireTests {
    @Test("a condition that holds costs no message")
    func holds() {
        var count = 0
        func message() -> String {
            count += 1
            return ""
        }
        require(true, message())
        #expect(count == 0)
    }

    @Test("a condition that doesn't hold ends the process with its message")
    func fails() async throws {
        let result = try await #require(processExitsWith: .exitCode(70), observing: [\.standardErrorContent]) {
            require([1].isEmpty, "op: shape \([1])")
        }
        #expect(
            String(decoding: result.standardErrorContent, as: UTF8.self)
                == "peft: error: op: shape [1]\n\(Problem.defectNotice)\n")
    }
}
