import Checkpoints
import Files
import JSONText
import Tensors
import TestSupport
import Testing
import Training

@Suite("Training from an adapter") struct InitialAdapterTests {
    private let still = ["training.learning_rate=0", "training.max_steps=1"]

    @Test("begins with its tensors and settings, of which the dropout may change")
    func start() throws {
        let training = try TinyTraining()
        try training.run(["peft.r=3", "peft.lora_alpha=5", "peft.bias=all", "training.max_steps=2"], into: "first")
        let changes = ["peft.init_from=\(training.scratch("first"))", "peft.lora_dropout=0.25"]
        try training.run(changes + still)
        #expect(
            try training.bytes("run/adapter_model.safetensors") == training.bytes("first/adapter_model.safetensors"))
        let configuration = try JSONNode.load(path: training.scratch("run/adapter_config.json"))
        #expect(try configuration.integer("r") == 3)
        #expect(try configuration.integer("lora_alpha") == 5)
        #expect(try configuration.number("lora_dropout") == 0.25)
        let moved = try training.run(changes, into: "moved")
        #expect(moved.summary?.steps == 12)
        #expect(
            try training.bytes("moved/adapter_model.safetensors") != training.bytes("first/adapter_model.safetensors"))
    }

    @Test("takes along the tables of a resized vocabulary, which peft stores beside it, also after a stop")
    func tables() throws {
        let training = try TinyTraining()
        try training.run(["training.max_steps=2"], into: "first")
        let adapter = try AdapterFolder(path: training.scratch("first"), warn: { _ in })
        let table = Tensor(noise(320 * 16, seed: 4, scale: 0.1), shape: [320, 16])
        let names = ["transformer.wte.weight", "lm_head.weight"]
        try FileSystem.createFolder(training.scratch("resized"))
        try AdapterFolder.write(
            configuration: adapter.configuration.plain,
            tensors: try adapter.entries.map {
                OutgoingTensor($0.tensor.name, try adapter.tensor($0), as: .float32)
            } + names.map { OutgoingTensor("base_model.model." + $0, table, as: .float32) },
            to: training.scratch("resized"))
        let changes = ["peft.init_from=\(training.scratch("resized"))"]
        try training.run(changes, into: "whole")
        try training.run(changes, stoppingAfter: 5)
        try training.run(changes, .resume)
        #expect(
            try training.bytes("run/adapter_model.safetensors") == training.bytes("whole/adapter_model.safetensors"))
        try training.run(["peft.init_from=\(training.scratch("first"))"], into: "plain")
        func values(_ folder: String, _ path: String) throws -> [Float]? {
            let found = try AdapterFolder(path: training.scratch(folder), warn: { _ in })
            return try found.entry(path).map { try found.tensor($0).values }
        }
        for name in names { #expect(try values("whole", name) == table.values && values("plain", name) == nil) }
        let trained = "transformer.h.0.attn.c_attn.lora_B.weight"
        #expect(try values("whole", trained) != values("plain", trained))
    }

    @Test("reports settings that contradict it")
    func contradiction() throws {
        let training = try TinyTraining()
        try training.run(["training.max_steps=1"], into: "first")
        let start = "peft.init_from=\(training.scratch("first"))"
        #expect(
            training.failure([start, "peft.r=4", "peft.bias=all"]) == """
                --set peft.r=4: error: peft.r: is 4, but 8 in the adapter that init_from names; leave it out
                --set peft.bias=all: error: peft.bias: is all, but none in the adapter that init_from names; \
                leave it out
                """)
        #expect(training.failure([start, "peft.r=8"]) == nil)
    }

    @Test("reports a missing adapter beside what else is wrong, and takes no setting for unknown")
    func missing() throws {
        let training = try TinyTraining()
        let path = training.scratch("nowhere")
        #expect(
            training.failure(["peft.init_from=\(path)", "peft.r=4", "training.seed=-1"]) == """
                --set training.seed=-1: error: training.seed: must be at least 0, got -1
                \(path): error: no such folder
                """)
    }

    @Test("names tensors that are missing, unexpected and misshapen")
    func tensors() throws {
        let training = try TinyTraining()
        try training.run(["training.max_steps=1", "peft.target_modules=[c_attn]"], into: "first")
        let adapter = try AdapterFolder(path: training.scratch("first"), warn: { _ in })
        var tensors = try adapter.entries.map { ($0.tensor.name, try adapter.tensor($0)) }
        let missing = tensors.removeFirst().0
        let misshapen = tensors[0].0
        tensors[0].1 = tensors[0].1.reshaped([8, 48])
        tensors.append(("base_model.model.other.lora_A.weight", tensors[0].1))
        try FileSystem.createFolder(training.scratch("broken"))
        try AdapterFolder.write(
            configuration: adapter.configuration.plain,
            tensors: tensors.map { OutgoingTensor($0.0, $0.1, as: .float32) }, to: training.scratch("broken"))
        #expect(missing == "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight")
        #expect(misshapen == "base_model.model.transformer.h.0.attn.c_attn.lora_B.weight")
        let file = training.scratch("broken/adapter_model.safetensors")
        #expect(
            training.failure(["peft.init_from=\(training.scratch("broken"))"]) == """
                \(file): error: transformer.h.0.attn.c_attn.lora_A.weight: is missing; shape [8, 16] is expected
                \(file): error: transformer.h.0.attn.c_attn.lora_B.weight: has shape [8, 48], but [48, 8] is expected
                \(file): error: other.lora_A.weight: is unexpected: the configuration has no place for it
                """)
    }
}
