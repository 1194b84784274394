import Checkpoints
import Diagnostics
import Files
import JSONText
import Tensors
import TestSupport
import Testing

@Suite("An adapter folder") struct AdapterFolderTests {
    private func open(_ path: String) throws -> AdapterFolder { try AdapterFolder(path: path, warn: noWarnings) }

    @Test("as peft saves it has a configuration, and tensors under the paths of the model's modules")
    func read() throws {
        let adapter = try open(fixturePath("adapters/default"))
        #expect(try adapter.configuration.string("peft_type") == "LORA")
        #expect(adapter.entries.allSatisfy { "base_model.model." + $0.path == $0.tensor.name })
        let entry = try #require(adapter.entry("transformer.h.0.attn.c_attn.lora_A.weight"))
        #expect(try adapter.tensor(entry).shape == entry.tensor.shape)
        #expect(adapter.entry("base_model.model.transformer.h.0.attn.c_attn.lora_A.weight") == nil)
    }

    @Test("whose keys hold the adapter's name gives the same paths")
    func infixes() throws {
        let paths = try open(fixturePath("adapters/infixed-names")).entries
        #expect(paths.contains { $0.tensor.name.contains(".default.") })
        #expect(!paths.contains { $0.path.contains("default") })
    }

    @Test("is written as peft writes it, byte for byte", arguments: ["default", "all-linear", "patterns", "bfloat16"])
    func write(_ name: String) throws {
        let source = fixturePath("adapters/\(name)")
        let adapter = try open(source)
        let folder = try TemporaryFolder()
        let tensors = try adapter.entries.map {
            OutgoingTensor($0.tensor.name, try adapter.tensor($0), as: $0.tensor.elementType)
        }
        try AdapterFolder.write(configuration: adapter.configuration.plain, tensors: tensors, to: folder.path)
        #expect(try FileSystem.names(in: folder.path) == ["adapter_config.json", "adapter_model.safetensors"])
        for file in try FileSystem.names(in: folder.path) {
            #expect(try content(folder.file(file)) == content(FileSystem.join(source, file)), "\(file)")
        }
    }

    @Test("may hold its adapter one level below; several are an error that names them")
    func below() throws {
        let folder = try TemporaryFolder()
        func add(_ name: String) throws {
            try folder.write("{}", to: "\(name)/adapter_config.json")
            try SafetensorsWriter.write([], to: folder.file("\(name)/adapter_model.safetensors"))
        }
        try add("first")
        #expect(try open(folder.path).path == folder.file("first"))
        try add("second")
        #expect(
            complaint(in: folder.path) { _ = try open(folder.path) }
                == "FOLDER: error: several adapters are in the folder ('first', 'second'): give the path of one of them"
        )
    }

    @Test("that lacks a file or holds another form of it is an error that says what to do")
    func errors() throws {
        let folder = try TemporaryFolder()
        func message(_ name: String) -> String { complaint(in: folder.path) { _ = try open(folder.file(name)) } }
        #expect(message("a") == "a: error: no such folder")
        try folder.write("", to: "a/README.md")
        #expect(message("a") == "a: error: no adapter: the folder has no adapter_config.json")
        #expect(message("a/README.md") == "a/README.md: error: expected an adapter's folder, found a file")
        try folder.write("[]", to: "a/adapter_config.json")
        #expect(message("a") == "a/adapter_config.json:1:1: error: expected an object, got an array")
        try folder.write("version https://git-lfs.github.com/spec/v1\n", to: "a/adapter_config.json")
        #expect(
            message("a")
                == "a/adapter_config.json: error: is a Git LFS pointer, not the file itself: fetch it with 'git lfs pull' or "
                + "download it again")
        try folder.write("{}", to: "a/adapter_config.json")
        #expect(
            message("a")
                == "a: error: adapter_config.json is in the folder, but no adapter_model.safetensors")
        try folder.write("", to: "a/adapter_model.bin")
        #expect(
            message("a")
                == "a: error: the weights are there as adapter_model.bin only, a PyTorch pickle, which isn't read here: load "
                + "the adapter in peft and save it again with save_pretrained(..., safe_serialization=True)")
        let one = Tensor([1], shape: [1])
        try SafetensorsWriter.write(
            [
                OutgoingTensor("base_model.model.x.lora_A.weight", one, as: .float32),
                OutgoingTensor("base_model.model.x.lora_A.default.weight", one, as: .float32),
            ], to: folder.file("a/adapter_model.safetensors"))
        #expect(
            message("a")
                == "a/adapter_model.safetensors: error: base_model.model.x.lora_A.weight: names the same tensor as "
                + "'base_model.model.x.lora_A.default.weight'")
    }

    @Test("of a prompt method has names without the model's part")
    func promptMethods() throws {
        let folder = try TemporaryFolder()
        let one = Tensor([1], shape: [1])
        try AdapterFolder.write(
            configuration: ["task_type": "SEQ_CLS"],
            tensors: [
                OutgoingTensor("prompt_embeddings", one, as: .float32),
                OutgoingTensor("base_model.score.weight", one, as: .float32),
            ], to: folder.path)
        #expect(try open(folder.path).entries.map(\.path) == ["score.weight", "prompt_embeddings"])
    }
}
