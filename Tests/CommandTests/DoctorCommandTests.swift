import Checkpoints
import Files
import Foundation
import JSONText
import Tensors
import TestSupport
import Testing

@Suite("peft doctor")
struct DoctorCommandTests {
    private static let base = "Tests/Fixtures/adapters/base"

    /// A committed adapter with other tensors and settings.
    private func adapter(
        _ name: String, settings: [String: JSONValue] = [:], in folder: TemporaryFolder,
        _ change: (String, Tensor) -> (String, Tensor)? = { ($0, $1) }
    ) throws -> String {
        let source = try AdapterFolder(path: fixture("adapters/\(name)").path(percentEncoded: false), warn: { _ in })
        let tensors = try source.entries.compactMap { entry in
            change(entry.tensor.name, try source.tensor(entry)).map { OutgoingTensor($0.0, $0.1, as: .float32) }
        }
        let members = try source.configuration.asObject().map {
            JSONValue.Member($0.key, settings[$0.key] ?? $0.value.plain)
        }
        try AdapterFolder.write(configuration: .object(members), tensors: tensors, to: folder.path)
        return folder.path
    }

    private func findings(_ path: String, base: String? = base) throws -> [(kind: String, key: String?, text: String)] {
        let outcome =
            try base.map { try peft("doctor", path, "--base", $0, "--json") } ?? peft("doctor", path, "--json")
        let root = try JSONNode.parse(outcome.output)
        let isHealthy = try root.array("findings").allSatisfy { try $0.boolean("note") }
        #expect(outcome.status == (isHealthy ? 0 : 65))
        #expect(try root.boolean("healthy") == isHealthy)
        return try root.array("findings").map {
            (
                try ($0.boolean("note") ? "note " : "") + $0.string("kind"), try $0.optionalString("key"),
                try $0.string("message")
            )
        }
    }

    @Test(
        "calls healthy what peft wrote",
        arguments: ["default", "all-linear", "bias-all", "saved-head", "saved-norm", "float16", "rslora", "regex"])
    func healthy(name: String) throws {
        let outcome = try peft("doctor", "Tests/Fixtures/adapters/\(name)")
        #expect(outcome.status == 0, "\(outcome.output)")
        #expect(outcome.output.hasPrefix("healthy: Tests/Fixtures/adapters/\(name) (LORA), "))
        #expect(outcome.output.hasSuffix(" tensors, on Tests/Fixtures/adapters/base\n"))
    }

    @Test("says in words what is wrong and what to do, a finding a line")
    func words() throws {
        let folder = try TemporaryFolder()
        let path = try adapter("default", in: folder) { name, tensor in
            (name, name.contains("lora_B") ? Tensor(zeros: tensor.shape) : tensor)
        }
        let outcome = try peft("doctor", path, "--base", Self.base)
        #expect(outcome.status == 65)
        #expect(
            outcome.output == """
                1 finding: \(path) (LORA), 6 tensors, on \(Self.base)
                - transformer.h.0.attn.c_attn.lora_B.weight: is zero, as all 3 of the kind: the low-rank part changes nothing
                  B begins as zero, so nothing was trained or the trained tensors were not saved; train, or save again.

                """)
    }

    @Test("finds numbers that aren't any") func notFinite() throws {
        let folder = try TemporaryFolder()
        let path = try adapter("default", in: folder) { name, tensor in
            let copy = tensor.copy()
            if name.contains("h.1") { copy.data[2] = .nan }
            return (name, copy)
        }
        let found = try findings(path)
        #expect(found.map(\.kind) == ["not_finite"])
        #expect(found.first?.key == "transformer.h.1.attn.c_attn.lora_A.weight")
        #expect(found.first?.text == "holds NaN in row 0, column 2 (and 1 more)")
    }

    @Test("finds names that match nothing, and says what they lack") func names() throws {
        let folder = try TemporaryFolder()
        let path = try adapter("default", in: folder) { name, tensor in
            (name.replacing("model.transformer.", with: "model."), tensor)
        }
        let found = try findings(path)
        #expect(found.map(\.kind) == ["names"])
        #expect(found.first?.text == "matches nothing in the base model (and 5 more)")
        let outcome = try peft("doctor", path, "--base", Self.base)
        #expect(outcome.output.contains("The names lack 'transformer.'"))
        let bare = try TemporaryFolder()
        let unprefixed = try adapter("default", in: bare) { name, tensor in
            (name.replacing("base_model.model.", with: ""), tensor)
        }
        #expect(try findings(unprefixed).map(\.kind) == ["names"])
    }

    @Test("finds transposed matrices and missing ones") func shapes() throws {
        let folder = try TemporaryFolder()
        let path = try adapter("default", in: folder) { name, tensor in
            (name, name.contains("h.0") ? tensor.reshaped(tensor.shape.reversed()) : tensor)
        }
        let found = try findings(path)
        #expect(found.map(\.kind).contains("transposed"))
        #expect(found.first { $0.kind == "transposed" }?.text == "is transposed (and 1 more)")
        let other = try TemporaryFolder()
        let missing = try adapter("default", in: other) { name, tensor in name.contains("h.2") ? nil : (name, tensor) }
        #expect(try findings(missing).map(\.kind) == ["missing", "missing"])
    }

    @Test("finds another base and another vocabulary") func base() throws {
        #expect(
            try findings("Tests/Fixtures/adapters/default", base: "embedded/base").map(\.kind) == ["base"])
        let folder = try TemporaryFolder()
        let path = try adapter("saved-head", in: folder) { name, tensor in
            name.contains("lm_head") ? (name, Tensor(noise(99 * 24), shape: [99, 24])) : (name, tensor)
        }
        let found = try findings(path)
        #expect(found.map(\.kind) == ["vocabulary"])
        #expect(found.first?.text == "is for 99 tokens, and the base has 97")
        for name in ["plain", "saved-head", "token-rows", "prompt"] {
            let found = try findings("Tests/Fixtures/vocabulary/\(name)", base: nil)
            #expect(found.map(\.kind) == ["vocabulary"], "\(name)")
            #expect(found.first?.text == "is for 26 tokens, and the base has 23", "\(name)")
        }
    }

    @Test("finds tables of another base, and lets pass what resizing changes") func tables() throws {
        for changed in [20, 80] {
            let folder = try TemporaryFolder()
            let path = try adapter("head", in: folder) { name, tensor in
                guard name.hasSuffix(".base_layer.weight") else { return (name, tensor) }
                let rows = noise(changed * tensor.columnCount) + tensor.values[(changed * tensor.columnCount)...]
                return (name, Tensor(rows, shape: tensor.shape))
            }
            let found = try findings(path).filter { $0.kind == "base" }
            #expect(found.map(\.key) == (changed == 80 ? ["lm_head.base_layer.weight"] : []))
            #expect(found.allSatisfy { $0.text == "differs from the base's own table in 80 of 97 rows" })
        }
    }

    @Test("finds adapters of tied embeddings") func tied() throws {
        let folder = try TemporaryFolder()
        let path = try adapter("default", settings: ["target_modules": ["c_attn", "lm_head"]], in: folder) {
            name, tensor in
            guard name.contains("h.0") else { return (name, tensor) }
            let shape = name.contains("lora_A") ? [4, 24] : [97, 4]
            return (
                name.replacing("transformer.h.0.attn.c_attn", with: "lm_head"),
                Tensor(noise(shape[0] * shape[1]), shape: shape)
            )
        }
        #expect(try findings(path).map(\.kind).contains("tied_embeddings"))
    }

    @Test("finds patterns that overlap or match nothing, and ranks that aren't those of the settings")
    func patterns() throws {
        let folder = try TemporaryFolder()
        let path = try adapter(
            "patterns", settings: ["rank_pattern": ["c_attn": 3, "h.0.attn.c_attn": 5, "mlp.c_proj": 2, "gate": 7]],
            in: folder)
        let found = try findings(path)
        #expect(found.map(\.kind).allSatisfy { ["patterns", "settings", "note entries"].contains($0) })
        #expect(found.contains { $0.text == "matches no layer that has an adapter" && $0.key == "rank_pattern.gate" })
        #expect(
            found.contains {
                $0.text == "'c_attn' and 'h.0.attn.c_attn' both match transformer.h.0.attn.c_attn and differ"
            })
        #expect(found.contains { $0.text == "has the rank 5, but the settings say 3" })
    }

    @Test("notes entries that mean nothing and fields that aren't known, and calls the adapter healthy all the same")
    func notes() throws {
        let folder = try TemporaryFolder()
        let path = try adapter(
            "default",
            settings: [
                "target_modules": ["q_proj", "c_attn", "v_proj"], "modules_to_save": ["embed_tokens"],
                "rank_pattern": ["gate": 7], "loftq_config": [:],
            ], in: folder)
        let found = try findings(path)
        #expect(
            found.map { "\($0.kind) \($0.key ?? ""): \($0.text)" } == [
                "note entries rank_pattern.gate: matches no layer that has an adapter",
                "note entries target_modules: 'q_proj' matches nothing in the base model (and 1 more)",
                "note entries modules_to_save: 'embed_tokens' matches nothing in the base model",
            ])
        let text = try JSONNode.load(path: folder.path + "/adapter_config.json").asObject()
        try AtomicFile.write(
            JSONValue.object(
                text.map {
                    .init(
                        $0.key == "revision" ? "use_something_new" : $0.key,
                        $0.key == "revision" ? true : $0.value.plain)
                }
            ).text(.python), to: folder.path + "/adapter_config.json")
        let outcome = try peft("doctor", path, "--base", Self.base)
        #expect(outcome.status == 0)
        #expect(outcome.output.hasPrefix("healthy: "))
        #expect(
            outcome.output.contains(
                "- note: use_something_new: isn't known here, and may change what the adapter computes\n"))
        #expect(outcome.errors.contains("warning: use_something_new: this field isn't known here"))
    }

    @Test("takes a head that the settings don't list for what it is") func unlistedHead() throws {
        let folder = try TemporaryFolder()
        let path = try adapter("default", settings: ["task_type": "SEQ_CLS", "modules_to_save": nil], in: folder)
        let source = try AdapterFolder(path: path, warn: { _ in })
        var tensors = try source.entries.map { OutgoingTensor($0.tensor.name, try source.tensor($0), as: .float32) }
        tensors.append(
            OutgoingTensor("base_model.model.score.weight", Tensor(noise(3 * 24), shape: [3, 24]), as: .float32))
        try AdapterFolder.write(configuration: source.configuration.plain, tensors: tensors, to: path)
        #expect(try findings(path).map(\.kind) == [])
    }

    @Test("finds scales that can't be meant") func scales() throws {
        let folder = try TemporaryFolder()
        let path = try adapter("default", settings: ["use_rslora": true, "lora_alpha": 64], in: folder)
        let found = try findings(path)
        #expect(found.map(\.kind) == ["scale"])
        #expect(found.first?.text == "makes the scale alpha / √r = 32.0, where alpha / r would be 16.0")
        let other = try TemporaryFolder()
        #expect(
            try findings(adapter("default", settings: ["lora_alpha": 0], in: other)).map(\.kind) == ["scale"])
    }

    @Test("finds types that nobody knows") func types() throws {
        for (type, text) in [
            ("lora", "is 'lora', but peft tells capitals from small letters"),
            ("NOVELTY", "'NOVELTY' is no method that is known here"),
        ] {
            let folder = try TemporaryFolder()
            let path = try adapter("default", settings: ["peft_type": .string(type)], in: folder)
            #expect(try findings(path).first { $0.kind == "type" }?.text == text)
        }
    }

    @Test("says that there is no adapter as other commands do") func absent() throws {
        let outcome = try peft("doctor", "Tests/Fixtures/absent")
        #expect(outcome.status == 66)
        #expect(outcome.errors == "Tests/Fixtures/absent: error: no such folder\n")
    }
}
