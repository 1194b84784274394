import Checkpoints
import Diagnostics
import Files
import FoundationEssentials
import Tensors
import TestSupport
import Testing

@Suite("The weights of a model folder") struct ModelWeightsTests {
    private func open(_ folder: String) throws -> ModelWeights { try ModelWeights(folder: folder, warn: noWarnings) }

    @Test("are found under one file's names")
    func single() throws {
        let weights = try open(fixturePath("gpt2/forward-float32"))
        #expect(!weights.isSharded && weights.shardNames == ["model.safetensors"])
        let entry = try #require(weights.entry(named: "transformer.h.0.attn.c_attn.weight"))
        #expect(try weights.tensor(named: entry.name).shape == entry.shape)
        #expect(weights.entry(named: "transformer.h.99.attn.c_attn.weight") == nil)
        #expect(
            complaint(in: fixturePath("gpt2")) { _ = try weights.tensor(named: "x") }
                == "forward-float32: error: x: no such tensor")
    }

    @Test("are found over all shards, and written again byte for byte, each in its shard")
    func sharded() throws {
        let source = fixturePath("gpt2/forward-sharded")
        let weights = try open(source)
        #expect(weights.isSharded && weights.shards.count == 6)
        let folder = try TemporaryFolder()
        let shards = try zip(weights.shardNames, weights.shards).map { name, shard in
            ModelWeights.OutgoingShard(
                name: name,
                tensors: try shard.tensors.map {
                    OutgoingTensor($0.name, try weights.tensor(named: $0.name), as: .float32)
                })
        }
        try ModelWeights.write(shards, to: folder.path)
        let names = try FileSystem.names(in: folder.path)
        #expect(names == weights.shardNames + ["model.safetensors.index.json"])
        for name in names {
            #expect(try content(folder.file(name)) == content(FileSystem.join(source, name)), "\(name)")
        }
        #expect(weights.shard(of: "transformer.wte.weight")?.entry(named: "transformer.wte.weight") != nil)
        #expect(weights.shard(of: "x") == nil)
    }

    @Test("that are absent, or there in another form only, are an error that says what was looked for")
    func absent() throws {
        let folder = try TemporaryFolder()
        func message(_ name: String) -> String { complaint(in: folder.path) { _ = try open(folder.file(name)) } }
        #expect(message("no") == "no: error: no such folder")
        try folder.write("{}", to: "empty/config.json")
        #expect(
            message("empty")
                == "empty: error: no weights: neither model.safetensors nor model.safetensors.index.json is in the folder"
        )
        #expect(message("empty/config.json") == "empty/config.json: error: expected a model's folder, found a file")
        try folder.write("", to: "old/pytorch_model.bin")
        #expect(
            message("old")
                == "old: error: the weights are there as pytorch_model.bin only, a PyTorch pickle, which isn't read here: "
                + "load the model in transformers and save it again with save_pretrained(..., safe_serialization=True)")
        let problem = #expect(throws: Problem.self) { try open(folder.file("old")) }
        #expect(problem?.exitStatus == .missingInput)
    }

    @Test(
        "are an error where the index and its shards disagree",
        arguments: [
            ("[]", "1:1: error: expected an object, got an array"),
            (#"{"metadata":{}}"#, "1:1: error: weight_map: missing"),
            (#"{"weight_map":{"a":1}}"#, "1:20: error: weight_map.a: expected a string, got 1"),
            (
                #"{"weight_map":{"a":"../1.safetensors"}}"#,
                "1:20: error: weight_map.a: expected the name of a file in the same folder, got '../1.safetensors'"
            ),
            (
                #"{"weight_map":{"a":"1.safetensors","b":"3.safetensors"}}"#,
                " error: the shard '3.safetensors' is missing from the folder"
            ),
            (
                #"{"weight_map":{"a":"1.safetensors","b":"2.safetensors","d":"2.safetensors"}}"#,
                "1:60: error: d: is not in '2.safetensors'"
            ),
            (
                #"{"weight_map":{"a":"2.safetensors","b":"1.safetensors"}}"#,
                "1:20: error: a: listed under '2.safetensors', but found in '1.safetensors'"
            ),
            (
                #"{"weight_map":{"a":"1.safetensors","c":"2.safetensors"}}"#,
                "2.safetensors: error: b: is not listed in model.safetensors.index.json"
            ),
            (
                #"{"weight_map":{"a":"1.safetensors","b":"4.safetensors"}}"#,
                "4.safetensors: error: a: is also in '1.safetensors'"
            ),
        ])
    func disagreement(_ index: String, _ message: String) throws {
        let folder = try TemporaryFolder()
        for (name, tensor) in [("1", "a"), ("2", "b"), ("4", "a")] {
            try SafetensorsWriter.write(
                [OutgoingTensor(tensor, Tensor([1], shape: [1]), as: .float32)], to: folder.file("\(name).safetensors"))
        }
        try folder.write(index, to: "model.safetensors.index.json")
        let found = complaint(in: folder.path) { _ = try open(folder.path) }
        let isAboutShard = message.first.map { "24".contains($0) } ?? false
        #expect(found == (isAboutShard ? message : "model.safetensors.index.json:" + message))
    }
}

@Suite("The local Hub cache") struct HubCacheTests {
    @Test("lies where huggingface_hub has it")
    func folder() {
        func folder(_ environment: [String: String]) -> String? { HubCache.folder { environment[$0] } }
        #expect(folder([:]) == nil)
        #expect(folder(["HOME": "/h"]) == "/h/.cache/huggingface/hub")
        #expect(folder(["HOME": "/h", "XDG_CACHE_HOME": "/x"]) == "/x/huggingface/hub")
        #expect(folder(["HOME": "/h", "XDG_CACHE_HOME": "/x", "HF_HOME": "~/f"]) == "/h/f/hub")
        #expect(folder(["HOME": "/h", "HF_HOME": "/f", "HF_HUB_CACHE": "/c"]) == "/c")
        #expect(folder(["HOME": "/h", "HF_HOME": ""]) == "/h/.cache/huggingface/hub")
    }

    @Test("gives the folder of a model's main revision, or of its only one")
    func resolve() throws {
        let folder = try TemporaryFolder()
        func resolve(_ name: String) throws -> String {
            try HubCache.resolve(name) { $0 == "HF_HUB_CACHE" ? folder.path : nil }
        }
        for revision in ["aaa", "bbb"] {
            try folder.write("{}", to: "models--org--two/snapshots/\(revision)/config.json")
        }
        #expect(
            complaint(in: folder.path) { _ = try resolve("org/two") }
                == "org/two: error: the local Hub cache holds several revisions and doesn't say which is the main one: give "
                + "the folder of one, for instance models--org--two/snapshots/aaa")
        try folder.write("bbb\n", to: "models--org--two/refs/main")
        #expect(try resolve("org/two") == folder.file("models--org--two/snapshots/bbb"))
        try folder.write("{}", to: "models--one/snapshots/ccc/config.json")
        #expect(try resolve("one") == folder.file("models--one/snapshots/ccc"))
        #expect(try resolve(folder.path) == folder.path)
        try FileSystem.createFolder(folder.file("models--none"))
        #expect(
            complaint(in: folder.path) { _ = try resolve("none") }
                == "none: error: the model is in the local Hub cache (models--none), but none of its files: download it "
                + "again")
        #expect(
            complaint(in: folder.path) { _ = try resolve("org/absent") }
                == "org/absent: error: no such folder, and no model of that name in the local Hub cache (FOLDER)")
        for path in ["./absent", "a/b/c", "../up", "a b"] {
            #expect(complaint { _ = try resolve(path) } == "\(path): error: no such folder")
        }
    }
}
