import Charts
import Diagnostics
import Foundation
import Testing
import Training

@Suite("Metrics as curves") struct RunMetricsTests {
    private func metrics(_ text: String) throws -> RunMetrics {
        let scratch = try Scratch()
        try scratch.write(text, to: "metrics.jsonl")
        return try RunMetrics(folder: scratch("."))
    }

    private func step(_ step: Int, _ loss: Double) -> String {
        #"{"step": \#(step), "epoch": \#(Double(step) / 4), "loss": \#(loss), "tokens": \#(step * 10), "elapsed_seconds": \#(step * 2)}"#
            + "\n"
    }

    private func evaluation(_ step: Int, _ loss: Double) -> String {
        #"{"step": \#(step), "epoch": \#(Double(step) / 4), "eval_loss": \#(loss), "eval_f1": null, "elapsed_seconds": \#(step * 2 + 1)}"#
            + "\n"
    }

    @Test("run over steps, epochs, tokens and time")
    func axes() throws {
        let found = try metrics(step(2, 5) + evaluation(2, 6) + step(4, 3) + evaluation(4, 4))
        #expect(found.keys == ["epoch", "loss", "tokens", "elapsed_seconds", "eval_loss", "eval_f1"])
        #expect(found.measured == ["epoch", "loss", "tokens", "elapsed_seconds", "eval_loss"])
        #expect(found.points(of: "loss") == [.init(x: 2, y: 5), .init(x: 4, y: 3)])
        #expect(found.points(of: "loss", over: .epoch).map(\.x) == [0.5, 1])
        #expect(found.points(of: "loss", over: .tokens).map(\.x) == [20, 40])
        #expect(found.points(of: "eval_loss", over: .tokens) == [.init(x: 20, y: 6), .init(x: 40, y: 4)])
        #expect(found.points(of: "eval_loss", over: .time).map(\.x) == [5, 9])
        #expect(found.points(of: "eval_f1").isEmpty && found.points(of: "x").isEmpty)
        #expect(found.steps(of: "eval_loss") == [2, 4])
        // Before the first step there were none, and without a count there is no place.
        #expect(
            try metrics(evaluation(0, 7) + step(2, 5)).points(of: "eval_loss", over: .tokens) == [.init(x: 0, y: 7)])
        #expect(try metrics(#"{"step": 1, "loss": 3}"# + "\n").points(of: "loss", over: .tokens).isEmpty)
    }

    @Test("hold the last course of a run whose steps are there twice")
    func repeated() throws {
        let first = step(2, 5) + evaluation(2, 6) + step(4, 4.5) + evaluation(4, 5.5) + step(6, 4)
        let found = try metrics(first + step(4, 4.4) + evaluation(4, 5.4) + step(6, 3.9))
        #expect(found.points(of: "loss").map(\.y) == [5, 4.4, 3.9])
        #expect(found.points(of: "eval_loss").map(\.y) == [6, 5.4])
        // Resumed to make up for the evaluation.
        let made = try metrics(step(2, 5) + step(4, 4) + evaluation(4, 5) + step(6, 3))
        #expect(made.points(of: "loss").map(\.y) == [5, 4, 3])
        // The line of the last step comes behind its evaluation where that ended the run.
        let ended = try metrics(step(2, 5) + evaluation(3, 6) + step(3, 4))
        #expect(ended.points(of: "loss").count == 2 && ended.points(of: "eval_loss").count == 1)
    }

    @Test("leave out a last line that is still being written, and no other")
    func truncated() throws {
        let half = #"{"step": 4, "lo"#
        #expect(try metrics(step(2, 5) + half).points(of: "loss").count == 1)
        #expect(try metrics(step(2, 5) + step(4, 5).dropLast()).points(of: "loss").count == 2)
        #expect(try metrics("").isEmpty && metrics(half).isEmpty)
        #expect(throws: Problem.self) { try metrics(half + "\n" + step(6, 5)) }
    }

    @Test("are refused where a line is none")
    func wrong() throws {
        func problem(_ text: String) -> String? {
            do {
                _ = try metrics(text)
                return nil
            } catch { return "\(error)".components(separatedBy: "/").last }
        }
        #expect(problem(#"{"loss": 3}"# + "\n") == "metrics.jsonl:1:1: error: step: missing")
        #expect(problem(step(1, 2) + "[]\n") == "metrics.jsonl:2:1: error: expected an object, got an array")
        #expect(
            problem(#"{"step": 1, "loss": NaN}"# + "\n")?.hasPrefix("metrics.jsonl:1:21: error: ") == true)
        let keys = (1...1001).map { #"{"step": \#($0), "k\#($0)": 1}"# + "\n" }.joined()
        #expect(
            problem(keys)
                == "metrics.jsonl:1001:1: error: more than 1,000 different keys: these aren't a run's metrics")
    }

    @Test("know of which more is better")
    func directions() {
        #expect(RunMetrics.prefersGreater("loss") == false && RunMetrics.prefersGreater("eval_mse") == false)
        #expect(RunMetrics.prefersGreater("eval_accuracy") == true)
        #expect(RunMetrics.prefersGreater("learning_rate") == nil && RunMetrics.prefersGreater("eval_tokens") == nil)
    }
}
