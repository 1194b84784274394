import Batches
import Configuration
import Datasets
import Testing
import Tokenizers

@Suite("Labels") struct LabelTests {
    private let reference: ReferenceExamples
    private let folder: TemporaryFolder

    init() throws {
        reference = try ReferenceExamples()
        folder = try TemporaryFolder()
    }

    private func settings(_ yaml: String) throws -> DataSettings {
        let document = try ConfigDocument.parse(yaml: "data: {\(yaml)}", file: "run.yaml")
        let settings = DataSettings(
            document.root.section("data"), task: .sequenceClassification, needsTrainingFiles: false)
        try document.finish()
        return settings
    }

    private func problems(_ yaml: String) -> String {
        do {
            _ = try settings(yaml)
            return ""
        } catch { return "\(error)" }
    }

    @Test(
        "are classes in order: integers by value, words by code points; numbers where one isn't whole",
        arguments: [
            ("10 9 -1", "-1 9 10"), ("b a B é z", "B a b z é"), ("1 x", "1 x"), ("0.5 1", ""), ("1e-3 -2.0", ""),
            ("nan 1.5", "1.5 nan"), ("0.0 1.0", "0 1"), ("1.0 1 2 -0.0", "0 1 2"), ("07 7", "07 7"), ("1.0 x", "1.0 x"),
        ])
    func inferred(texts: String, expected: String) {
        let labels = LabelSet(inferredFrom: texts.split(separator: " ").map(String.init))
        let names = expected.split(separator: " ").map(String.init)
        #expect(labels.names == names)
        #expect(labels.objective == (names.isEmpty ? .regression : .classification(labels: names.count)))
        for (index, name) in names.enumerated() { #expect(labels.number(of: name) == Int32(index)) }
    }

    @Test("are matched by the numbers that they are, and by their own where they have no names")
    func numbers() {
        #expect(LabelSet(names: ["2", "1.0", "x"]).number(of: "2.0") == 0)
        #expect(LabelSet(names: ["2", "1.0", "x"]).number(of: "1") == 1)
        #expect(LabelSet(names: ["2", "1.0", "x"]).number(of: "0") == nil)
        let unnamed = LabelSet.unnamed(3)
        #expect(["0", "1.0", "LABEL_2", "3", "1.5", "-1"].map { unnamed.number(of: $0) } == [0, 1, 2, nil, nil, nil])
        #expect(LabelSet(names: ["LABEL_0", "LABEL_2"]).number(of: "0") == nil)
    }

    @Test("that are written with other code points are others, and look alike")
    func normalForms() throws {
        let path = try folder.write(
            "n.jsonl",
            #"{"t": "x", "l": "caf\u00e9"}"# + "\n" + #"{"t": "y", "l": "cafe\u0301"}"# + "\n"
                + #"{"t": "z", "l": "x"}"# + "\n")
        let labels = try #require(try settings(#"text: "{t}", label: "{l}""#).labelSet(paths: [path]))
        #expect(labels.names.map { Array($0.utf8) } == ["cafe\u{301}", "caf\u{e9}", "x"].map { Array($0.utf8) })
        #expect(labels.number(of: "cafe\u{301}") == 0 && labels.number(of: "caf\u{e9}") == 1)
        #expect(labels.lookalikes.count == 1)
    }

    @Test("that differ in case or spaces alone are found")
    func lookalikes() {
        let found = LabelSet(names: ["positive", "Positive", "other", " positive\u{A0}"]).lookalikes
        #expect(found.map { "\($0.0)|\($0.1)" } == ["positive|Positive", "positive| positive\u{A0}"])
    }

    @Test("that are empty are errors with their line", arguments: ["", "  "])
    func empty(label: String) throws {
        let path = try folder.write("a.jsonl", "{\"t\": \"x\", \"l\": \"a\"}\n{\"t\": \"y\", \"l\": \"\(label)\"}\n")
        let settings = try settings(#"text: "{t}", label: "{l}""#)
        #expect(
            folder.problem { _ = try settings.labelSet(paths: [path]) }
                == "a.jsonl:2:1: error: the label of this record is empty")
        var encoder = reference.encoder(settings.templates)
        encoder.labels = LabelSet(names: ["a", label])
        #expect(
            folder.problem { _ = try Dataset(paths: [path], encoder: encoder) }
                == "a.jsonl:2:1: error: the label of this record is empty")
        #expect(
            problems(#"text: "{t}", label: "{l}", labels: [a, "\#(label)"]"#)
                == "run.yaml:1:43: error: data.labels: has an empty label")
    }

    @Test("are counted") func counts() throws {
        let path = try folder.write("a.csv", "t,l\nx,1.0\ny,0\nz,1\n")
        var encoder = reference.encoder(try settings(#"text: "{t}", label: "{l}""#).templates)
        encoder.labels = LabelSet(names: ["0", "1", "2"])
        #expect(try Dataset(paths: [path], encoder: encoder).counts.ofClass == [1, 2, 0])
        encoder.labels = .regression
        #expect(try Dataset(paths: [path], encoder: encoder).counts.values == 0...1)
    }

    @Test("come from all records, or from the configuration")
    func found() throws {
        let path = try folder.write(
            "a.jsonl", "{\"t\": \"x\", \"l\": 3, \"m\": \"food[Thai], x\"}\n{\"t\": \"y\", \"l\": 1, \"m\": \"none\"}\n"
        )
        #expect(try settings(#"text: "{t}", label: "{l}""#).labelSet(paths: [path])?.names == ["1", "3"])
        #expect(
            try settings(#"text: "{t}", label: "{l}", labels: [b, a]"#).labelSet(paths: [path])?.names == ["b", "a"])
        #expect(
            try settings(#"text: "{t}", label: "{l}", problem_type: regression"#).labelSet(paths: [path]) == .regression
        )
        let pattern = try settings(#"text: "{t}", label: "{m}", label_pattern: 'food\[(.*?)\]'"#)
        #expect(
            folder.problem { _ = try pattern.labelSet(paths: [path]) }
                == "a.jsonl: error: all records have the label 'Thai': there is nothing to tell apart")
        let none = try settings(#"text: "{t}", label: "{m}", label_pattern: '(Z)'"#)
        #expect(
            folder.problem { _ = try none.labelSet(paths: [path]) }
                == "a.jsonl: error: data.label_pattern matches none of the 2 records")
    }

    @Test("stand at the last token of each text, and records without one are left out")
    func examples() throws {
        let path = try folder.write(
            "a.jsonl",
            """
            {"t": "the soup", "l": "food[b]", "v": 0.5}
            {"t": "near", "l": "area[c]", "v": 1}
            {"t": "the", "l": "food[a]", "v": -2}

            """)
        let template = try LabelTemplate(Template("{l}"), pattern: #"food\[(.*?)\]"#)
        var encoder = reference.encoder(.labelled(text: try Template("{t}"), label: template))
        encoder.labels = LabelSet(names: ["a", "b"])
        let dataset = try Dataset(paths: [path], encoder: encoder)
        #expect(dataset.count == 2 && dataset.counts.dropped == 1 && dataset.counts.targetTokens == 2)
        let examples = try [dataset.example(0), dataset.example(1)]
        #expect(examples.map(\.label) == [.category(1), .category(0)])
        #expect(examples[0].tokens == reference.tokenizer.encode("the soup"))
        let batch = TokenBatch(examples)
        #expect(batch.rowCount == examples[0].tokens.count + examples[1].tokens.count && batch.labelCount == 2)
        #expect(batch.labels[batch.offsets[1] - 1] == 1 && batch.labels[batch.offsets[2] - 1] == 0)
        #expect(try dataset.texts(of: 1) == ("the", "a"))
        let same = try LabelTemplate(Template("{t}"), pattern: nil)
        var both = reference.encoder(.labelled(text: try Template("{t}"), label: same))
        both.labels = LabelSet(names: ["the soup", "near", "the"])
        #expect(try Dataset(paths: [path], encoder: both).example(1).label == .category(1))

        var numbers = reference.encoder(
            .labelled(text: try Template("{t}"), label: try LabelTemplate(Template("{v}"), pattern: nil)))
        numbers.labels = .regression
        let values = try Dataset(paths: [path], encoder: numbers)
        #expect(try TokenBatch((0..<3).map { try values.example($0) }).values == [0.5, 1, -2])
    }

    @Test("aren't at padding: tokens of it at the end of a text are left out, but never all")
    func padding() throws {
        let path = try folder.write("a.jsonl", #"{"t": "the soup", "l": "a"}"#)
        let label = try LabelTemplate(Template("{l}"), pattern: nil)
        var encoder = reference.encoder(.labelled(text: try Template("{t}"), label: label))
        encoder.labels = LabelSet(names: ["a", "b"])
        let all = try Dataset(paths: [path], encoder: encoder).example(0).tokens
        encoder.paddingID = all.last
        #expect(try Dataset(paths: [path], encoder: encoder).example(0).tokens == all.dropLast())
        let short = try folder.write("b.jsonl", #"{"t": "e", "l": "a"}"#)
        encoder.paddingID = reference.tokenizer.encode("e").last
        #expect(try Dataset(paths: [short], encoder: encoder).example(0).tokens.count == 1)
    }

    @Test("that are unknown, and empty texts, are errors with their place")
    func wrong() throws {
        let label = try LabelTemplate(Template("{l}"), pattern: nil)
        var encoder = reference.encoder(.labelled(text: try Template("{t}"), label: label))
        func problem(_ record: String, _ labels: LabelSet) throws -> String? {
            let path = try folder.write("a.jsonl", "\n" + record)
            encoder.labels = labels
            return folder.problem { _ = try Dataset(paths: [path], encoder: encoder).example(0) }
        }
        let labels = LabelSet(names: ["a", "b"])
        #expect(
            try problem(#"{"t": "x", "l": "c"}"#, labels)
                == "a.jsonl:2:1: error: 'c' is none of the labels; they are a, b")
        #expect(
            try problem(#"{"t": "x", "l": "Good"}"#, LabelSet(names: ["good", "bad"]))
                == "a.jsonl:2:1: error: 'Good' is none of the labels; did you mean 'good'? They are good, bad")
        #expect(
            try problem(#"{"t": "x", "l": "c"}"#, .unnamed(2))
                == "a.jsonl:2:1: error: 'c' is none of the labels; they have no names but LABEL_0, LABEL_1, which are 0 "
                + "to 1 in the data too, unless data.labels names them in their order")
        #expect(
            try problem(#"{"t": "x", "l": "c"}"#, .regression) == "a.jsonl:2:1: error: the label 'c' is no number")
        #expect(
            try problem(#"{"t": "", "l": "a"}"#, labels) == "a.jsonl:2:1: error: the text of this record is empty")
    }

    @Test(
        "have settings that must fit together",
        arguments: [
            (#"text: "{t}""#, "run.yaml:1:7: error: data.label: missing: the template of its label"),
            (
                #"text: "{t}", label: "{l}", prompt: "{p}""#,
                "run.yaml:1:43: error: data.prompt: has no place in sequence_classification: give text and label"
            ),
            (
                #"text: "{t}", label: "{l}", label_pattern: "(x""#,
                "run.yaml:1:50: error: data.label_pattern: '(x' is no regular expression: missing ), "
                    + "unterminated subpattern at character 1"
            ),
            (
                #"text: "{t}", label: "{l}", label_pattern: "x""#,
                "run.yaml:1:50: error: data.label_pattern: 'x' has no group: put parentheses around the part that is "
                    + "the label"
            ),
            (
                #"text: "{t}", label: "{l}", labels: [a, a]"#,
                "run.yaml:1:43: error: data.labels: must be two or more different labels"
            ),
            (
                #"text: "{t}", label: "{l}", labels: [a, b], problem_type: regression"#,
                "run.yaml:1:43: error: data.labels: has no place in regression, whose labels are numbers"
            ),
        ])
    func contradictions(yaml: String, expected: String) { #expect(problems(yaml) == expected) }

    @Test("have no place where texts are gone on with")
    func otherTask() throws {
        let document = try ConfigDocument.parse(yaml: "data: {text: '{t}', label: '{l}'}", file: "run.yaml")
        _ = DataSettings(document.root.section("data"), task: .causalLM, needsTrainingFiles: false)
        let thrown = #expect(throws: (any Error).self) { try document.finish() }
        #expect(
            thrown.map { "\($0)" }
                == "run.yaml:1:28: error: data.label: goes with task: sequence_classification, which isn't set")
    }
}
