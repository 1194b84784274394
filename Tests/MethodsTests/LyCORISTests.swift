import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing

/// What LoHa and LoKr do in training alone, and how LoKr cuts a layer's sizes.
@Suite("LoHa and LoKr") struct LyCORISTests {
    private static let columns = 3 * SmallModel.width

    /// The outputs of the first c_attn with random numbers for inputs: without the adapter, with it, and in passes of
    /// training with dropout of its own.
    private func outputs(
        _ method: any PEFTMethod.Type, _ settings: String
    ) throws -> (base: [Float], adapted: [Float], passes: [[Float]]) {
        let small = try SmallModel()
        let path = "transformer.h.0.attn.c_attn"
        let module = try #require(small.model.modules.first { $0.path == path })
        guard case .linear(let linear) = module.kind else { return ([], [], []) }
        let x = Tensor(noise(4 * SmallModel.width, seed: 5), shape: [4, SmallModel.width])
        let base = linear(x, .inference()).values
        let installation = try small.install(method, settings)
        randomise(installation)
        let passes = (0..<20).map { linear(x, .training(seed: 3, pass: $0)).values }
        return (base, linear(x, .inference()).values, passes)
    }

    /// By columns of the outputs, what share of the adapter's change they have; nil where it isn't the same in each row.
    private func shares(_ found: [Float], base: [Float], adapted: [Float]) -> [Float?] {
        (0..<Self.columns).map { column in
            let changes = stride(from: column, to: base.count, by: Self.columns)
                .map { (found: found[$0] - base[$0], whole: adapted[$0] - base[$0]) }
                .filter { $0.whole.magnitude > 1e-2 }
            let ratios = changes.map { $0.found / $0.whole }
            guard let first = ratios.first, ratios.allSatisfy({ ($0 - first).magnitude < 1e-3 }) else { return nil }
            return first
        }
    }

    @Test(
        "leave rows of the change out, and make up for them in the others where peft does",
        arguments: [
            // As a low-rank term, and as a whole matrix.
            (method: LoHa.name, settings: #"{"r": 1, "alpha": 8, "rank_dropout": 0.5}"#, makesUp: true),
            (method: LoHa.name, settings: #"{"r": 2, "alpha": 8, "rank_dropout": 0.5}"#, makesUp: true),
            (method: LoKr.name, settings: #"{"r": 2, "alpha": 8, "rank_dropout": 0.5}"#, makesUp: false),
            (
                method: LoKr.name,
                settings: #"{"r": 2, "alpha": 8, "rank_dropout": 0.5, "rank_dropout_scale": true}"#, makesUp: true
            ),
        ])
    func rows(method name: String, settings: String, makesUp: Bool) throws {
        let method = try #require(methods.first { $0.name == name })
        let (base, adapted, passes) = try outputs(method, settings)
        for pass in passes {
            let shares = shares(pass, base: base, adapted: adapted).compactMap { $0 }
            #expect(shares.count > Self.columns / 2)
            let largest = try #require(shares.max())
            #expect(shares.allSatisfy { $0.magnitude < 1e-3 || ($0 - largest).magnitude < 1e-3 * largest })
            // Of 24 rows, n are kept.
            let kept = Float(Self.columns) / largest
            #expect(makesUp ? (kept - kept.rounded()).magnitude < 0.05 : (largest - 1).magnitude < 1e-3, "\(largest)")
            if makesUp { #expect((6...18).contains(kept.rounded()), "\(kept)") }
        }
        #expect(Set(passes).count > 10)
    }

    @Test("leave a layer's whole change out in some passes", arguments: [LoHa.name, LoKr.name])
    func modules(_ name: String) throws {
        let method = try #require(methods.first { $0.name == name })
        let (base, adapted, passes) = try outputs(method, #"{"r": 2, "alpha": 8, "module_dropout": 0.5}"#)
        let without = passes.count { relativeDifference($0, base) < 1e-6 }
        #expect((4...16).contains(without))
        #expect(without + passes.count { relativeDifference($0, adapted) < 1e-6 } == passes.count)
    }

    @Test("split a size that the factor doesn't divide as near below the factor as can be")
    func factors() throws {
        let configuration = try section(
            #"{"vocab_size": 11, "n_positions": 7, "n_embd": 16, "n_layer": 1, "n_head": 2}"#)
        let model = try GPT2(configuration: configuration, source: RandomParameters(seed: 1))
        let method = try make(LoKr.self, section(#"{"r": 1, "decompose_factor": 3, "target_modules": ["c_attn"]}"#))
        let context = InstallationContext(seed: 1, basePath: "base", isTraining: true)
        let shapes = try method.install(into: model, context).trainable.map(\.tensor.shape)
        // 48 outputs are 3 · 16, 16 inputs 2 · 8.
        #expect(shapes == [[3, 2], [16, 1], [1, 8]])
    }
}
