import Batches
import Configuration
import Datasets
import JSONText
import Testing
import Tokenizers

@Suite("A data set") struct DatasetTests {
    let reference: ReferenceExamples
    let folder: TemporaryFolder

    init() throws {
        reference = try ReferenceExamples()
        folder = try TemporaryFolder()
    }

    @Test(
        "tokenizes prompt and completion apart and learns the completion and its end",
        arguments: ["records.jsonl", "records.json", "records.csv"])
    func completions(file: String) throws {
        let dataset = try Dataset(paths: [reference.path(file)], encoder: reference.encoder(reference.completion))
        #expect(try dataset.allExamples() == reference.examples("completion"))
        // A second time, from what is kept.
        #expect(try dataset.allExamples() == reference.examples("completion"))
    }

    @Test("learns all of a text but its first token")
    func texts() throws {
        let dataset = try Dataset(paths: [reference.path("records.csv")], encoder: reference.encoder(reference.text))
        #expect(try dataset.allExamples() == reference.examples("text"))
    }

    @Test("lays several files one behind the other")
    func severalFiles() throws {
        let paths = ["records.jsonl", "records.csv"].map { reference.path($0) }
        let dataset = try Dataset(paths: paths, encoder: reference.encoder(reference.completion))
        let once = try reference.examples("completion")
        #expect(try dataset.allExamples() == once + once)
    }

    @Test(
        "shortens the prompt, or a text, at the end that the policy names",
        arguments: [LengthPolicy.keepPromptStart, .keepPromptEnd])
    func shortening(policy: LengthPolicy) throws {
        let path = reference.path("records.jsonl")
        let limit = try reference.expected.integer("limit")
        let completions = try Dataset(
            paths: [path], encoder: reference.encoder(reference.completion, limit: limit, policy: policy))
        let expected = try reference.examples("completion_\(policy.rawValue)")
        #expect(try completions.allExamples() == expected)
        #expect(completions.counts.truncated == 5)
        #expect(completions.counts.tokens == expected.reduce(0) { $0 + $1.tokens.count })
        #expect(completions.counts.targetTokens == expected.reduce(0) { $0 + $1.targetCount })
        let texts = try Dataset(paths: [path], encoder: reference.encoder(reference.text, limit: 20, policy: policy))
        #expect(try texts.allExamples() == reference.examples("text_\(policy.rawValue)"))
    }

    @Test("leaves out what is too long and counts it")
    func dropping() throws {
        let limit = try reference.expected.integer("limit")
        let dataset = try Dataset(
            paths: [reference.path("records.jsonl")],
            encoder: reference.encoder(reference.completion, limit: limit, policy: .drop))
        #expect(dataset.count == 3)
        #expect(dataset.counts.records == 8)
        #expect(dataset.counts.dropped == 5)
        #expect(try dataset.allExamples() == reference.examples("completion_drop"))
        // Lines 2, 3, 4, 7 and 8 are gone.
        #expect((0..<3).map { dataset.place(of: $0)?.line } == [1, 5, 6])
    }

    @Test("cuts a text into blocks of all its lines, as run_clm does")
    func blocks() throws {
        let size = try reference.expected.integer("block_size")
        let dataset = try Dataset(
            paths: [reference.path("lines.txt")], blockSize: size, encoder: reference.encoder(reference.text))
        #expect(try dataset.allExamples() == reference.examples("blocks"))
        #expect(dataset.counts.tokens == dataset.count * size)
        #expect(dataset.place(of: 0) == nil)
    }

    @Test("puts the beginning in front, which the limit counts")
    func beginning() throws {
        let path = reference.path("records.jsonl")
        let plain = try reference.examples("completion")
        let dataset = try Dataset(
            paths: [path],
            encoder: reference.encoder(reference.completion, limit: 40, policy: .keepPromptEnd, beginning: 5))
        for (example, without) in zip(try dataset.allExamples(), plain) {
            #expect(example.tokens.first == 5)
            #expect(example.tokens.count == min(40, without.tokens.count + 1))
            #expect(example.tokens.suffix(example.targetCount) == without.tokens.suffix(without.targetCount))
            #expect(example.targetCount == without.targetCount)
        }
    }

    @Test("has no target at the first token where the prompt is empty")
    func emptyPrompt() throws {
        let path = try folder.write("a.jsonl", #"{"p": "", "c": "xyz"}"#)
        let templates = ExampleTemplates.completion(prompt: try Template("{p}"), completion: try Template("{c}"))
        let example = try Dataset(paths: [path], encoder: reference.encoder(templates)).example(0)
        #expect(example.targets == [1..<example.tokens.count])
        #expect(example.tokens == reference.tokenizer.encode("xyz") + [reference.end])
    }

    @Test("names file and line of a record that it can't use")
    func problems() throws {
        let path = try folder.write("a.jsonl", "{\"p\": \"x\", \"c\": \"y\"}\n{\"p\": \"\", \"c\": \"\"}\n")
        let templates = ExampleTemplates.completion(prompt: try Template("{p}"), completion: try Template("{c}"))
        func failure(_ encoder: ExampleEncoder) -> String? {
            folder.problem { _ = try Dataset(paths: [path], encoder: encoder).allExamples() }
        }
        let empty = "a.jsonl:2:1: error: no token of this record takes part in the loss: it is empty"
        #expect(failure(reference.encoder(templates)) == empty)
        #expect(
            failure(reference.encoder(templates, limit: 2))
                == "a.jsonl:1:1: error: 3 tokens are more than max_length (2): choose a max_length_policy "
                + "(drop, keep_prompt_start, keep_prompt_end)\n" + empty)
        #expect(
            failure(reference.encoder(templates, limit: 1, policy: .keepPromptEnd))
                == "a.jsonl:1:1: error: the completion alone has 2 tokens, more than max_length leaves (1): "
                + "set max_length_policy to drop\n" + empty)
        #expect(
            failure(reference.encoder(try .text(Template("{p}x")), limit: 0, policy: .keepPromptEnd))
                == "a.jsonl:1:1: error: max_length leaves no room for a text (0); it is so in all 2 records")
        let long = try folder.write("b.jsonl", "{\"p\": \"x\", \"c\": \"y\"}\n")
        #expect(
            folder.problem {
                _ = try Dataset(paths: [long], encoder: reference.encoder(templates, limit: 2, policy: .drop))
            } == "b.jsonl: error: all 1 records are longer than max_length (2): nothing is left to learn from")
        let short = try folder.write("c.txt", "ab\n")
        #expect(
            folder.problem {
                _ = try Dataset(paths: [short], blockSize: 64, encoder: reference.encoder(reference.text))
            } == "c.txt: error: holds 3 tokens, fewer than one block of block_size 64")
    }

    @Test("names the first twenty records that it can't use, and how many more there are")
    func severalProblems() throws {
        let lines = (0..<30).map {
            $0 % 4 == 0 ? #"{"mr": null, "ref": "y"}"# : #"{"mr": "x", "ref": "\#(String(repeating: "e", count: $0))"}"#
        }
        let path = try folder.write("a.jsonl", lines.joined(separator: "\n"))
        let found = try #require(
            folder.problem {
                _ = try Dataset(paths: [path], encoder: reference.encoder(reference.completion, limit: 3))
            })
        let problems = found.split(separator: "\n")
        #expect(problems.count == 21)
        #expect(problems[0] == "a.jsonl:1:1: error: the field 'mr' is null")
        #expect(
            problems[1] == "a.jsonl:2:1: error: 4 tokens are more than max_length (3): choose a max_length_policy "
                + "(drop, keep_prompt_start, keep_prompt_end)")
        #expect(problems[20] == "error: 10 more records can't be used")
        let missing = try ExampleTemplates.text(Template("{reff}"))
        #expect(
            folder.problem { _ = try Dataset(paths: [path], encoder: reference.encoder(missing)) }
                == "a.jsonl:1:1: error: no field 'reff'; did you mean 'ref'? There is mr, ref; it is so in all 30 records"
        )
    }

    @Test("does without optional fields, and warns of those that no record has")
    func optionalFields() throws {
        let path = try folder.write(
            "a.jsonl", "{\"a\": \"x\", \"b\": null}\n{\"a\": \"y\", \"b\": \"z\"}\n{\"a\": \"\"}\n")
        let templates = try ExampleTemplates.text(Template("{a}:{?{b};?}{?{bb}?}"))
        let dataset = try Dataset(paths: [path], encoder: reference.encoder(templates))
        #expect(try (0..<3).map { try dataset.texts(of: $0).wanted } == ["x:", "y:z;", ":"])
        let warnings = dataset.warnings
        #expect(
            warnings.map { warning in folder.problem { throw warning } } == [
                "a.jsonl: warning: no field 'bb'; did you mean 'b'? There is a, b. What depends on it is left out everywhere"
            ])
    }

    @Test("tokenizes again what isn't kept")
    func beyondTheCache() throws {
        let records = try RecordSet(paths: [reference.path("records.jsonl")])
        let dataset = try Dataset(records: records, encoder: reference.encoder(reference.completion), capacity: 60)
        #expect(try dataset.allExamples() == reference.examples("completion"))
    }

    @Test("names the model where its limit is the smaller one")
    func modelLimit() throws {
        let path = try folder.write("a.jsonl", #"{"mr": "x", "ref": "y"}"#)
        let document = try ConfigDocument.parse(yaml: "{train: \(path), prompt: '{mr}', completion: '{ref}'}")
        let settings = DataSettings(document.root, needsTrainingFiles: true)
        let problem = folder.problem {
            _ = try settings.dataset(
                paths: settings.train, codec: reference.codec, lengthLimit: 2
            ).example(0)
        }
        #expect(
            problem == "a.jsonl:1:1: error: 3 tokens are more than what the model takes (2): choose a "
                + "max_length_policy (drop, keep_prompt_start, keep_prompt_end)")
    }

    @Test("is encoded on many threads to the same examples")
    func manyRecords() throws {
        let lines = (0..<20_000).map { "{\"mr\": \"\($0)\", \"ref\": \"\(String(repeating: "x ", count: $0 % 17))\"}" }
        let path = try folder.write("a.jsonl", lines.joined(separator: "\n"))
        let plain = try Dataset(paths: [path], encoder: reference.encoder(reference.completion))
        let dropping = try Dataset(
            paths: [path], encoder: reference.encoder(reference.completion, limit: 12, policy: .drop))
        let expected = try plain.allExamples().filter { $0.tokens.count <= 12 }
        #expect(expected.count > 1000 && expected.count < 19_000)
        #expect(try dropping.allExamples() == expected)
    }
}
