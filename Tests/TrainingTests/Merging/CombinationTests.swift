import Checkpoints
import Configuration
import Foundation
import JSONText
import Methods
import Tensors
import TestSupport
import Testing
import Training

/// Adapters that peft combined, from `scripts/fixtures/combinations.py`.
@Suite("Combining adapters") struct CombinationTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let type: CombinationType
        let adapters: [String]
        let weights: [Float]
        let density: Double
        let majoritySign: CombinationSettings.MajoritySign
        let rank: Int?
        let hasLogits: Bool
        var testDescription: String { name }
    }

    private static let file = fixture("combinations/expected.json").path(percentEncoded: false)
    static let cases: [Case] = (try? read()) ?? []
    private static let base = fixture("adapters/base").path(percentEncoded: false)

    private static func read() throws -> [Case] {
        try JSONNode.load(path: file).array("cases").map { node in
            let settings = try node.required("settings")
            return Case(
                name: try node.string("name"), type: try #require(CombinationType(rawValue: try node.string("type"))),
                adapters: try node.array("adapters").map { try $0.asString() },
                weights: try node.array("weights").map { Float(try $0.asNumber()) },
                density: try settings.optional("density")?.asNumber() ?? 1,
                majoritySign: .init(rawValue: try settings.optionalString("majority_sign_method") ?? "total") ?? .total,
                rank: try settings.optional("svd_rank")?.asInteger(), hasLogits: try node.required("logits").asBoolean()
            )
        }
    }

    private static func settings(_ adapters: [(String, Float)], _ type: CombinationType, to output: String)
        -> CombinationSettings
    {
        CombinationSettings(
            base: base, adapters: adapters.map { .init(path: adapter($0.0), weight: $0.1) }, output: output, type: type)
    }

    private static func adapter(_ name: String) -> String {
        name.hasPrefix("/") ? name : fixture("adapters/\(name)").path(percentEncoded: false)
    }

    @Test("covers every type") func types() {
        #expect(Set(Self.cases.map(\.type)) == Set(CombinationType.allCases))
    }

    @Test("gives what peft gives, numbers dropped at random alike", arguments: cases)
    func reference(example: Case) throws {
        let scratch = try Scratch()
        var settings = Self.settings(
            Array(zip(example.adapters, example.weights)), example.type, to: scratch("combined"))
        (settings.density, settings.majoritySign, settings.rank) = (example.density, example.majoritySign, example.rank)
        let bound = UInt64((example.density * 0x1p32).rounded())
        let summary = try combine(
            settings,
            keeps: { _, _ in
                var number: UInt64 = 0
                return {
                    defer { number += 1 }
                    return (number &* 2_654_435_761 &+ 12345) & 0xFFFF_FFFF < bound
                }
            }, warn: { Issue.record("unexpected: \($0)") })
        #expect(summary.difference <= 1e-5)
        let expected = try SafetensorsFile(
            path: fixture("combinations/expected.safetensors").path(percentEncoded: false), warn: { _ in })
        let written = try AdapterFolder(path: scratch("combined"), warn: { Issue.record("unexpected: \($0)") })
        var compared = 0
        for tensor in expected.tensors where tensor.name.hasPrefix(example.name + "/") && tensor.name.contains("lora_")
        {
            let name = String(tensor.name.dropFirst(example.name.count + 1))
            guard name.contains(/lora_(embedding_)?A/) else { continue }
            let other = name.replacing("lora_A", with: "lora_B").replacing("embedding_A", with: "embedding_B")
            func product(_ a: Tensor, _ b: Tensor) -> [Double] {
                (0..<b.rowCount).flatMap { i in
                    (0..<a.columnCount).map { j in
                        (0..<a.rowCount).reduce(0.0) {
                            $0 + Double(b.data[i * a.rowCount + $1]) * Double(a.data[$1 * a.columnCount + j])
                        }
                    }
                }
            }
            let (a, b) = (try #require(written.entry(name)), try #require(written.entry(other)))
            let found = try product(written.tensor(a), written.tensor(b))
            let reference = try product(
                expected.tensor(named: tensor.name), expected.tensor(named: "\(example.name)/\(other)"))
            let largest = reference.reduce(0) { max($0, $1.magnitude) }
            // So few may stay that nothing does.
            #expect(zip(found, reference).allSatisfy { ($0 - $1).magnitude <= 2e-6 * largest }, "\(name)")
            compared += 1
        }
        #expect(compared > 0)
        guard example.hasLogits else { return }
        let model = try BaseModel.quietly(Self.base)
        _ = try model.install(adapter: scratch("combined"))
        let sequence = try JSONNode.load(path: Self.file).array("sequence").map { Int32(try $0.asInteger()) }
        let logits = try expected.raw(named: "\(example.name)/logits").doubles()
        #expect(relativeDifference(Array(model.logits(sequence).suffix(logits.count)), logits) <= 1e-5)
    }

    @Test("by svd of a rank that holds all, and by cat, is the weighted sum of the changes") func exact() throws {
        let scratch = try Scratch()
        var settings = Self.settings([("rslora", 0.5), ("all-linear", -1.5)], .svd, to: scratch("svd"))
        settings.rank = 6
        let svd = try combine(settings, warn: { Issue.record($0) })
        #expect(try #require(svd.distance) <= 1e-5)
        settings.output = scratch("cat")
        settings.type = .cat
        let cat = try combine(settings, warn: { Issue.record($0) })
        #expect(cat.distance == nil && cat.difference <= 1e-5)
        #expect(cat.ranks == 2...6)
        let merged = try merge(
            MergeSettings(
                base: Self.base, adapters: [.init(path: scratch("cat"), weight: 1)], output: scratch("merged"),
                elementType: nil, overwrites: false), warn: { Issue.record($0) })
        #expect(merged.difference <= 2e-6)
        let ids: [Int32] = [5, 9, 80, 3]
        let plain = try merge(
            MergeSettings(
                base: Self.base, adapters: settings.adapters, output: scratch("plain"), elementType: nil,
                overwrites: false), warn: { Issue.record($0) })
        #expect(plain.changedTensors == merged.changedTensors)
        #expect(
            relativeDifference(
                try BaseModel.quietly(scratch("merged")).logits(ids),
                try BaseModel.quietly(scratch("plain")).logits(ids).map(Double.init)) <= 1e-5)
    }

    @Test("scales by 1 and keeps the bias and the whole modules that peft loses") func faults() throws {
        let scratch = try Scratch()
        let summary = try combine(
            Self.settings([("rslora", 1), ("lora-bias", 1), ("saved-norm", 1)], .cat, to: scratch("all")),
            warn: { Issue.record($0) })
        #expect(
            summary.notes == [
                "An adapter has use_rslora: the result has its scale in A and B; peft 0.21 would scale it once more, by the "
                    + "root of the rank.",
                "An adapter has lora_bias: the result's is the weighted sum; peft 0.21 would leave it out.",
                "Modules of modules_to_save are taken whole, whatever the weights are, from "
                    + "'\(Self.adapter("saved-norm"))'; peft 0.21 would leave them out.",
            ])
        // Merging one after the other knows nothing of combinations.
        let base = try BaseModel.quietly(Self.base)
        for name in ["rslora", "lora-bias", "saved-norm"] {
            try base.install(adapter: Self.adapter(name)).merge(weight: 1)
        }
        let combined = try BaseModel.quietly(Self.base)
        _ = try combined.install(adapter: scratch("all"))
        let ids: [Int32] = [5, 9, 80, 3]
        #expect(relativeDifference(combined.logits(ids), base.logits(ids).map(Double.init)) <= 1e-5)
        let configuration = try JSONNode.load(path: scratch("all/adapter_config.json"))
        #expect(try configuration.required("use_rslora").asBoolean() == false)
        #expect(try configuration.required("lora_bias").asBoolean())
        #expect(try configuration.array("modules_to_save").map { try $0.asString() } == ["transformer.ln_f"])
    }

    @Test("drops at random by the seed and the adapter, as many as the density says, and makes up for them")
    func random() throws {
        let scratch = try Scratch()
        func tensor(_ seed: UInt64, _ name: String) throws -> [Float] {
            var settings = Self.settings([("default", 1), ("default", 0)], .dareLinear, to: scratch(name))
            (settings.density, settings.seed) = (0.25, seed)
            _ = try combine(settings, warn: { Issue.record($0) })
            let folder = try AdapterFolder(path: scratch(name), warn: { _ in })
            return try folder.tensor(try #require(folder.entry("transformer.h.0.attn.c_attn.lora_B.weight"))).values
        }
        let first = try tensor(1, "a")
        #expect(try first == tensor(1, "again"))
        let folder = try AdapterFolder(path: Self.adapter("default"), warn: { _ in })
        let own = try folder.tensor(try #require(folder.entry("transformer.h.0.attn.c_attn.lora_B.weight"))).values
        var (kept, count) = (0, 0)
        for seed in 1...8 as ClosedRange<UInt64> {
            let values = seed == 1 ? first : try tensor(seed, "\(seed)")
            for (value, original) in zip(values, own) where value != 0 {
                // The square root of the scale 16 / 4, and a quarter is left.
                #expect((value - 8 * original).magnitude <= 1e-5 * original.magnitude)
                kept += 1
            }
            count += own.count
        }
        // Within four standard deviations.
        let deviation = (Double(count) * 0.25 * 0.75).squareRoot()
        #expect((Double(kept) - 0.25 * Double(count)).magnitude <= 4 * deviation)
        #expect(try first != tensor(2, "other"))
    }

    @Test("says which adapters can't be combined, and why") func errors() throws {
        let scratch = try Scratch()
        func failure(_ adapters: [String], _ type: CombinationType = .cat) -> String {
            complaint(in: fixture("adapters").path(percentEncoded: false)) {
                _ = try combine(
                    Self.settings(adapters.map { ($0, 1) }, type, to: scratch("out")), warn: { Issue.record($0) })
            }
        }
        #expect(
            failure(["default", "dora"])
                == "dora/adapter_config.json:42:15: error: use_dora: a trained length of the weights (DoRA) can't be combined "
                + "with another: make an ordinary LoRA adapter of it first, by 'peft convert'")
        #expect(
            failure(["pissa", "default"])
                == "pissa/adapter_config.json:14:24: error: init_lora_weights: 'pissa' changed the base's weights too, so "
                + "that the adapter is no change of that base: make an ordinary LoRA adapter of it first, by 'peft convert'"
        )
        #expect(
            failure(["default", "bias-lora-only"])
                == "bias-lora-only/adapter_config.json:7:11: error: bias: biases of the model that were trained beside the "
                + "adapter can't be combined, and peft loads no second adapter beside one that has some: merge without "
                + "--combine")
        #expect(
            failure(["default", "token-rows"])
                == "token-rows/adapter_config.json:39:30: error: trainable_token_indices: single rows of an embedding can't "
                + "be combined: merge without --combine")
        #expect(
            failure(["saved-norm", "default", "saved-norm"])
                == "saved-norm: error: holds transformer.ln_f.weight whole (modules_to_save), as 'saved-norm' does, and peft "
                + "combines no such: merge without --combine sums what changed of both")
        #expect(
            failure(["lora-bias", "embeddings"])
                == "embeddings: error: adapts transformer.wte, and another adapter's B has a bias (lora_bias), which "
                + "embeddings can't have: they can't be combined")
        let words =
            "all-linear: error: has rank 2 at transformer.h.0.attn.c_attn, and 'default' rank 4: TYPE combines the matrices "
            + "themselves, which must be of one size; cat takes any ranks, as do the types that end in svd"
        for type in [CombinationType.linear, .ties, .dareLinear, .dareTies, .magnitudePrune] {
            #expect(failure(["default", "all-linear"], type) == words.replacing("TYPE", with: type.rawValue))
        }
        #expect(try scratch.names() == [])
    }
}
