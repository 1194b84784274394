import Diagnostics
import Testing

@Suite("A problem") struct ProblemTests {
    @Test("reads as compilers write: file, line, column, severity, key, message")
    func description() {
        let problem = Problem(
            "expected an integer, got 'eight'", file: "run.yaml", position: TextPosition(line: 4, column: 9),
            key: "peft.r")
        #expect(problem.description == "run.yaml:4:9: error: peft.r: expected an integer, got 'eight'")
    }

    @Test("without a place starts with its severity")
    func withoutPlace() {
        #expect(Problem("nothing to train").description == "error: nothing to train")
    }
}
