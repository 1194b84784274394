import Foundation
import FoundationXML
import Glibc
import JSONText
import Testing

@Suite("peft plot") struct PlotCommandTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try write(steps: 4, rate: 1, to: "runs/a")
        try write(steps: 6, rate: 0.5, to: "runs/b")
        try write(steps: 2, rate: 0.25, to: "others/a", evaluates: false)
    }

    private func path(_ name: String) -> String { "\(folder.path)/\(name)" }

    /// Metrics as training writes them, whose losses are 8 / (step · rate).
    private func write(steps: Int, rate: Double, to name: String, evaluates: Bool = true) throws {
        let lines = (1...steps).map { step in
            let loss = 8 / (Double(step) * rate)
            return #"{"step": \#(step), "epoch": \#(Double(step) / 2), "loss": \#(loss), "learning_rate": \#(rate), "#
                + #""tokens": \#(step * 100), "elapsed_seconds": \#(step * 30)}"# + "\n"
                + (evaluates && step % 2 == 0
                    ? #"{"step": \#(step), "epoch": \#(Double(step) / 2), "eval_loss": \#(loss + 1), "eval_tokens": 9, "#
                        + #""eval_accuracy": 0.\#(step), "elapsed_seconds": \#(step * 30 + 5)}"# + "\n" : "")
        }
        try folder.write(lines.joined(), to: "\(name)/metrics.jsonl")
    }

    /// The texts and the lines of a picture, which must be XML.
    private final class Picture: NSObject, XMLParserDelegate {
        var texts: [String] = []
        var curves: [[String: String]] = []
        var rings: [[String: String]] = []
        private var isText = false

        init(_ svg: String) {
            super.init()
            let parser = XMLParser(data: Data(svg.utf8))
            parser.delegate = self
            #expect(parser.parse(), "\(String(describing: parser.parserError)) in \(svg)")
        }

        func parser(
            _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
            attributes: [String: String]
        ) {
            isText = name == "text"
            if isText { texts.append("") }
            if name == "polyline" { curves.append(attributes) }
            if attributes["class"] == "ring" { rings.append(attributes) }
        }

        func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
            isText = false
        }

        func parser(_ parser: XMLParser, foundCharacters text: String) {
            if isText { texts[texts.count - 1] += text }
        }
    }

    @Test("writes a picture of several runs, each with its best value")
    func several() throws {
        let outcome = try peft("plot", path("runs/a"), path("runs/b"), "--output", path("plot.svg"))
        #expect(outcome == Outcome(status: 0, output: "", errors: ""))
        let picture = Picture(try folder.text("plot.svg"))
        #expect(
            Array(picture.texts.prefix(3)) == [
                "loss, dashed the validation loss", "a, validation lowest 3.0000 after step 4",
                "b, validation lowest 3.6667 after step 6",
            ])
        #expect(picture.curves.count == 4 && picture.rings.count == 2)
        #expect(picture.curves.compactMap { $0["stroke-dasharray"] } == ["7 3", "7 3"])
        // Elsewhere than on a terminal stdout gets the same.
        #expect(try peft("plot", path("runs/a"), path("runs/b")).output == folder.text("plot.svg"))
        #expect(try peft("plot", path("runs/a"), path("runs/b"), "-o", "-").output == folder.text("plot.svg"))
    }

    @Test("tells runs of the same name apart, by as much of their paths as that takes")
    func names() throws {
        let outcome = try peft("plot", path("runs/a"), path("others/a/"), path("runs/b/metrics.jsonl"), "--json")
        #expect(outcome.errors == "")
        let curves = try JSONNode.parse(outcome.output).array("curves")
        #expect(
            try curves.map { "\(try $0.string("run")) \(try $0.string("metric"))" } == [
                "runs/a loss", "runs/a eval_loss", "others/a loss", "b loss", "b eval_loss",
            ])
    }

    @Test("gives the values to programs, over steps, epochs, tokens or time")
    func values() throws {
        func points(_ arguments: String...) throws -> [[Double]] {
            let outcome = try RunningTool(["plot", path("runs/a"), "--json"] + arguments).outcome()
            #expect(outcome.status == 0 && outcome.errors == "")
            let curve = try JSONNode.parse(outcome.output).array("curves")[0]
            return try curve.array("points").map { [try $0.number("x"), try $0.number("y")] }
        }
        #expect(try points() == [[1, 8], [2, 4], [3, 8.0 / 3], [4, 2]])
        #expect(try points("--x", "epoch").map { $0[0] } == [0.5, 1, 1.5, 2])
        #expect(try points("--x", "tokens").map { $0[0] } == [100, 200, 300, 400])
        #expect(try points("--x", "time", "--metric", "eval_loss") == [[65, 5], [125, 3]])
        #expect(try points("--x", "tokens", "--metric", "eval_accuracy") == [[200, 0.2], [400, 0.4]])
        let smooth = try peft("plot", path("runs/a"), "--metric", "loss", "--smooth", "3", "--json")
        #expect(
            smooth.output == """
                {
                  "x": "step",
                  "curves": [
                    {
                      "run": "a",
                      "folder": "\(path("runs/a"))",
                      "metric": "loss",
                      "window": 3,
                      "best": {
                        "x": 4,
                        "y": 2.333333333333333
                      },
                      "points": [
                        {
                          "x": 1,
                          "y": 8.0
                        },
                        {
                          "x": 2,
                          "y": 4.0
                        },
                        {
                          "x": 3,
                          "y": 2.6666666666666665
                        },
                        {
                          "x": 4,
                          "y": 2.0
                        }
                      ],
                      "means": [
                        {
                          "x": 1,
                          "y": 6.0
                        },
                        {
                          "x": 2,
                          "y": 4.888888888888888
                        },
                        {
                          "x": 3,
                          "y": 2.888888888888889
                        },
                        {
                          "x": 4,
                          "y": 2.333333333333333
                        }
                      ]
                    }
                  ]
                }

                """)
    }

    @Test("leaves out, with a warning, a run that hasn't got the metric")
    func missing() throws {
        let outcome = try peft("plot", path("runs/a"), path("others/a"), "--metric", "eval_accuracy", "-o", "-")
        #expect(outcome.status == 0)
        #expect(outcome.errors == "\(path("others/a")): warning: has no 'eval_accuracy', and is left out\n")
        #expect(Picture(outcome.output).texts[1] == "runs/a, highest 0.4000 after step 4")
    }

    @Test("says what is wrong, and what there is instead")
    func problems() throws {
        func failure(_ arguments: String...) throws -> String {
            let outcome = try RunningTool(["plot"] + arguments).outcome()
            #expect(outcome.output == "")
            return "\(outcome.status) \(outcome.errors)"
        }
        let keys = "epoch, loss, learning_rate, tokens, elapsed_seconds"
        #expect(try failure(path("none")) == "66 \(path("none")): error: no such folder\n")
        #expect(
            try failure(path("runs"))
                == "66 \(path("runs")): error: holds no metrics.jsonl, and so no run: the runs in it "
                + "are \(path("runs/a")) \(path("runs/b"))\n")
        try folder.write("", to: "empty/file")
        #expect(
            try failure(path("empty"))
                == "66 \(path("empty")): error: holds no metrics.jsonl, and so no run: give the training.output_dir of a "
                + "run\n")
        #expect(
            try failure(path("empty/file"))
                == "66 \(path("empty/file")): error: is no run's folder: give the training.output_dir of a run\n")
        #expect(
            try failure(path("others/a"), "--metric", "losss")
                == "65 \(path("others/a")): error: has no 'losss'; there are \(keys); did you mean 'loss'?\n")
        #expect(
            try failure(path("runs/a"), path("runs/b"), "--metric", "x")
                == "65 error: no run has 'x'; there are \(keys), eval_loss, eval_tokens, eval_accuracy\n")
        #expect(
            try failure(path("runs/a"), path("runs/../runs/a"))
                == "64 \(path("runs/../runs/a")): error: is the same run as '\(path("runs/a"))': give each once\n")
        try folder.write("", to: "begun/metrics.jsonl")
        #expect(try failure(path("begun")) == "65 \(path("begun"))/metrics.jsonl: error: no step was logged yet\n")
        try folder.write(#"{"step": 1, "loss": NaN}"# + "\n", to: "nan/metrics.jsonl")
        #expect(try failure(path("nan")).hasPrefix("65 \(path("nan"))/metrics.jsonl:1:21: error: "))
        try folder.write(#"{"step": 1, "loss": 1e305}"# + "\n", to: "huge/metrics.jsonl")
        #expect(
            try failure(path("huge"), "-o", path("huge.svg"))
                == "65 \(path("huge")): error: no value of 'loss' is small enough to be drawn\n")
        try folder.write(#"{"step": 1, "loss": 2}"# + "\n", to: "short/metrics.jsonl")
        #expect(
            try failure(path("short"), "--x", "epoch")
                == "65 \(path("short")): error: 'loss' has no place by epoch: take another --x\n")
        #expect(
            try failure(path("runs/a"), "-o", path("a.png"))
                == "64 \(path("a.png")): error: pictures are written as SVG: let the file's name end in .svg\n")
        try folder.write("mine", to: "a.svg")
        #expect(
            try failure(path("runs/a"), "-o", path("a.svg"))
                == "73 \(path("a.svg")): error: exists already: give --overwrite to replace it, or choose another file\n"
        )
        #expect(try peft("plot", path("runs/a"), "-o", path("a.svg"), "--overwrite").status == 0)
        try folder.write("its own", to: "runs/a/loss.svg")
        #expect(
            try failure(path("runs/a"), "-o", path("runs/a/loss.svg"), "--overwrite").hasPrefix(
                "73 \(path("runs/a/loss.svg")): error: is an input of this command"))
        #expect(try failure().hasPrefix("64 Error: Missing expected argument '<run> ...'\n"))
        #expect(
            try failure(path("runs/a"), "--smooth", "0").hasPrefix("64 Error: --smooth must be at least 1, got 0\n"))
        #expect(
            try failure(path("runs/a"), "--json", "-o", "-").hasPrefix(
                "64 Error: --json and --output exclude each other\n"))
        let axis = try failure(path("runs/a"), "--x", "steps")
        #expect(axis.contains("expected one of step, epoch, tokens, time"), "\(axis)")
    }

    @Test("draws in a terminal, in colours or with letters")
    func terminal() throws {
        func show(_ environment: [String: String]) throws -> [String] {
            var size = winsize(ws_row: 24, ws_col: 40, ws_xpixel: 0, ws_ypixel: 0)
            let (main, terminal) = try pseudoTerminal()
            try #require(ioctl(terminal, UInt(TIOCSWINSZ), &size) == 0)
            let process = Process()
            process.executableURL = binary
            process.arguments = ["plot", path("runs/a"), path("runs/b"), "--metric", "learning_rate"]
            var variables = ProcessInfo.processInfo.environment
            variables["NO_COLOR"] = nil
            process.environment = variables.merging(environment) { $1 }
            process.standardOutput = FileHandle(fileDescriptor: terminal, closeOnDealloc: false)
            try process.run()
            close(terminal)
            var bytes: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 4096)
            while case let count = read(main, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
            close(main)
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            return String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n")
        }
        let plain = try show(["TERM": "xterm", "NO_COLOR": "1"])
        #expect(plain.count == 1 + 16 + 1 + 2 + 1 && plain[0] == "learning_rate")
        #expect(plain[1].hasPrefix("1.0 ┤      aaaaaaa") && plain[16].hasPrefix("0.5 ┤      bbbbbbb"), "\(plain)")
        #expect(plain[17].hasSuffix(" step") && plain[18] == "a a" && plain[19] == "b b")
        #expect(plain.allSatisfy { $0.count <= 40 })
        let colored = try show(["TERM": "xterm"])
        #expect(colored[1].contains("\u{1B}[38;5;33m⠉"), "\(colored)")
        #expect(colored[18] == "\u{1B}[38;5;33m━━━\u{1B}[0m a" && colored[19] == "\u{1B}[38;5;202m━━━\u{1B}[0m b")
    }
}
