import JSONText
import TestSupport
import Testing

@Suite("peft inspect")
struct InspectCommandTests {
    private let adapters = "Tests/Fixtures/adapters"

    @Test("describes a model from its configuration and headers")
    func model() throws {
        let outcome = try peft("inspect", "\(adapters)/base")
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        #expect(
            outcome.output == """
                what         model of type gpt2
                class        GPT2LMHeadModel
                layers       3
                width        24
                heads        3
                positions    24
                vocabulary   97
                activation   gelu_new
                tied head    true
                end of text  96
                tensors      40
                             F32: 40 with 24,624 elements
                parameters   24,624
                size         102.2 kB
                file         Tests/Fixtures/adapters/base/model.safetensors, 102.2 kB (format: pt)

                """)
    }

    @Test("shows the tokens of a text, and the bytes of which a character is made")
    func tokens() throws {
        let outcome = try peft("inspect", "embedded/base", "--text", "near 日")
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        #expect(
            outcome.output == """
                 77  "n"
                425  "ear"
                220  " "
                162  <0xE6>
                245  <0x97>
                 98  <0xA5>

                """)
        let json = try peft("inspect", "embedded/base", "--text", "near 日", "--json")
        let root = try JSONNode.parse(json.output)
        #expect(try root.string("text") == "near 日")
        let bytes = try root.array("tokens").flatMap { try $0.array("bytes").map { UInt8(try $0.asInteger()) } }
        #expect(bytes == Array("near 日".utf8))
        let missing = try peft("inspect", "Tests/Fixtures/adapters/base", "--text", "a")
        #expect(missing.status == 66)
    }

    @Test("describes an adapter with what is set in it, and lists its tensors when asked")
    func adapter() throws {
        let outcome = try peft("inspect", "\(adapters)/one-layer", "--tensors")
        #expect(outcome.status == 0)
        #expect(outcome.output.hasPrefix("what                     adapter (LORA)\n"))
        #expect(outcome.output.contains("\ntarget_modules           "))
        #expect(!outcome.output.contains("use_dora"))
        #expect(outcome.output.contains(".lora_A.weight  F32 ["))
    }

    @Test("prints the facts as one JSON object")
    func json() throws {
        let outcome = try peft("inspect", "\(adapters)/default", "--json")
        #expect(outcome.status == 0)
        let root = try JSONNode.parse(outcome.output)
        #expect(try root.string("kind") == "adapter")
        #expect(try root.required("adapter").integer("r") == 4)
        #expect(try root.integer("tensor_count") == 6)
        #expect(try root.integer("parameters") == 1152)
        #expect(try root.required("dtypes").required("F32").integer("bytes") == 4608)
        let file = try #require(try root.array("files").first)
        #expect(try file.required("metadata").string("format") == "pt")
        let tensor = try #require(try file.array("tensors").first)
        #expect(
            tensor.plain == [
                "name": "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight", "dtype": "F32",
                "shape": [4, 24],
            ])
    }

    @Test("describes a safetensors file on its own")
    func file() throws {
        let outcome = try peft("inspect", "\(adapters)/bfloat16/adapter_model.safetensors", "--json")
        #expect(outcome.status == 0)
        let root = try JSONNode.parse(outcome.output)
        #expect(try root.string("kind") == "safetensors")
        #expect(try root.object("dtypes").map(\.key) == ["BF16"])
        #expect(root.member("model") == nil)
    }

    @Test("describes how far a run came")
    func run() throws {
        let folder = try TemporaryFolder()
        try folder.write("peft: {method: lora}\n", to: "training_config.yaml")
        try folder.write(
            """
            {"step": 10, "epoch": 0.5, "loss": 2.5}
            {"step": 10, "eval_loss": 2.25}
            {"step": 20, "epoch": 1.0, "loss": 2.0}
            {"step": 20, "eval_loss": 2.375}

            """, to: "metrics.jsonl")
        try folder.write("", to: "checkpoints/step-20/x")
        try folder.write("", to: "checkpoints/step-10/x")
        let outcome = try peft("inspect", folder.path)
        #expect(outcome.status == 0)
        #expect(
            outcome.output == """
                what             output of a run, without a result
                last step        step 20, epoch 1.0, loss 2.0
                best evaluation  step 10, eval_loss 2.25
                checkpoints      step 10, step 20

                """)
    }

    @Test(
        "says what is wrong with anything else",
        arguments: [
            ("no/such/folder", 66, "no/such/folder: error: no such folder\n"),
            (
                "embedded/e2e", 66,
                """
                embedded/e2e: error: nothing that is known: neither a model (config.json), nor an adapter \
                (adapter_config.json), nor the output of a run (training_config.yaml) is in the folder

                """
            ),
            (
                "Package.swift", 65,
                """
                Package.swift: error: the header's length is given as 8387507317777641263 bytes, more than the limit \
                of 100000000: not a safetensors file, or a damaged one

                """
            ),
            (
                "Tests/Fixtures/adapters/subfolder", 65,
                """
                Tests/Fixtures/adapters/subfolder: error: several adapters are in the folder ('first', 'second'): \
                give the path of one of them

                """
            ),
        ] as [(String, Int32, String)])
    func unknown(path: String, status: Int32, message: String) throws {
        let outcome = try peft("inspect", path)
        #expect(outcome.status == status)
        #expect(outcome.output == "")
        #expect(outcome.errors == message)
    }
}
