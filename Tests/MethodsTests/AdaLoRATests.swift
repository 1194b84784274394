import Configuration
import JSONText
import Layers
import Methods
import Tensors
import Testing
import TestSupport

extension MethodCase {
    static let adaLoRA = [
        MethodCase(
            AdaLoRA.self, #"{"init_r": 4, "target_r": 2, "lora_alpha": 6, "total_step": 10, "bias": "lora_only"}"#,
            formula: tripletFormula(6 / (4 + 1e-5))),
        MethodCase(
            AdaLoRA.self,
            #"""
            {"init_r": 3, "target_r": 1, "lora_alpha": 3, "total_step": 10, "target_modules": "all-linear", "bias": "all",
             "modules_to_save": ["ln_f"]}
            """#, tied: false, formula: tripletFormula(3 / (3 + 1e-5))),
    ]

    /// W + s · B (E ∘ A).
    private static func tripletFormula(_ scale: Double) -> MethodFormula {
        { model, now, _ in
            let before = model
            for (name, a) in now where name.hasSuffix(".lora_A") {
                let path = String(name.dropLast(".lora_A".count))
                let inputs = model.inputs(of: path)
                let e = now[path + ".lora_E"] ?? []
                var weight = LogicalWeight(path, before)
                let scaled = a.indices.map { a[$0] * e[$0 / inputs] }
                let change = product(now[path + ".lora_B"] ?? [], scaled, rank: e.count, scale: scale)
                weight.rows = zip(weight.rows, change).map { zip($0, $1).map { $0 + $1 } }
                model.values[weight.key] = weight.values
            }
        }
    }
}

@Suite("AdaLoRA") struct AdaLoRATests {
    static let settings = #"{"init_r": 4, "target_r": 2, "total_step": 12, "tinit": 2, "tfinal": 4}"#

    /// Runs steps without an optimizer: gradients, then the allocator.
    private func train(_ small: SmallModel, _ installation: any Installation, steps: Range<Int>) {
        for step in steps {
            small.lossWithGradients(installation.trainable)
            installation.afterStep(OptimizerStep(index: step, gradientScale: 1))
        }
    }

    private func ranks(_ installation: any Installation) throws -> [Int] {
        guard case .adapter(_, let tensors) = installation.deliver() else { return [] }
        return tensors.filter { $0.name.hasSuffix(".lora_E") }.map { $0.tensor.shape[0] }
    }

    @Test("takes ranks away between warm-up and end, down to the target, and delivers what is left")
    func pruning() throws {
        let small = try SmallModel()
        let installation = try small.install(AdaLoRA.self, Self.settings)
        randomise(installation)
        train(small, installation, steps: 0..<3)
        #expect(try ranks(installation) == [4, 4])
        train(small, installation, steps: 3..<8)
        // (8 − 4) · (1 − 5/6)³ + 4 of the eight, at most.
        #expect(try ranks(installation).reduce(0, +) == 4)
        train(small, installation, steps: 8..<12)
        #expect(try ranks(installation).reduce(0, +) == 4)
        let zeros = installation.trainable.filter { $0.name.hasSuffix(".lora_E") }
            .reduce(0) { $0 + $1.tensor.values.count { $0 == 0 } }
        #expect(zeros == 4)

        // The file holds the ranks that are left, and computes the same.
        guard case .adapter(let configuration, let tensors) = installation.deliver() else { return }
        let other = try SmallModel()
        let loaded = try make(AdaLoRA.self, ConfigDocument(json: JSONNode.parse(configuration.text(.python))).root)
            .install(into: other.model, InstallationContext(seed: 1, basePath: "base", isTraining: false))
        let named = tensors.map { (String($0.name.dropFirst("base_model.model.".count)), $0.tensor) }
        try loaded.load(Dictionary(uniqueKeysWithValues: named), file: "file")
        #expect(relativeDifference(other.logits, small.logits) <= 1e-6)
    }

    @Test("adds how far A and B are from orthogonal to the loss, on average")
    func regularization() throws {
        let small = try SmallModel()
        let installation = try small.install(AdaLoRA.self, #"{"init_r": 2, "target_r": 1, "total_step": 9}"#)
        let term = try #require(installation.regularization())
        func error(_ m: Tensor, byColumns: Bool) -> Double {
            let (rows, columns) = (m.rowCount, m.columnCount)
            let vectors = (0..<(byColumns ? columns : rows)).map { i in
                (0..<(byColumns ? rows : columns)).map { j in
                    Double(m.values[byColumns ? j * columns + i : i * columns + j])
                }
            }
            var sum = 0.0
            for (i, a) in vectors.enumerated() {
                for (j, b) in vectors.enumerated() {
                    let product = zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } - (i == j ? 1 : 0)
                    sum += product * product
                }
            }
            return sum.squareRoot()
        }
        let errors = installation.trainable.compactMap { parameter -> Double? in
            if parameter.name.hasSuffix(".lora_E") { return nil }
            return error(parameter.tensor, byColumns: parameter.name.hasSuffix(".lora_B"))
        }
        #expect(errors.count == 4)
        #expect((Double(term.values[0]) - 0.5 * errors.reduce(0, +) / 4).magnitude < 1e-6)
        let off = try SmallModel().install(
            AdaLoRA.self, #"{"init_r": 2, "target_r": 1, "total_step": 9, "orth_reg_weight": 0}"#)
        #expect(off.regularization() == nil)
    }

    static let errors: [(settings: String, text: String)] = [
        (
            #"{"init_r": 4, "target_r": 5, "total_step": 9}"#,
            "1:27: error: target_r: must be at most init_r, which is 4, got 5"
        ),
        (
            #"{"init_r": 4, "target_r": 2, "total_step": 9, "tinit": 5, "tfinal": 4}"#,
            "1:56: error: tinit: tinit (5) and tfinal (4) leave no step of 9 in which ranks go"
        ),
        (#"{"init_r": 4, "target_r": 2}"#, "1:1: error: total_step: must be given"),
        (
            #"{"init_r": 9, "target_r": 2, "total_step": 9}"#,
            "1:12: error: init_r: a rank of 9 is more than transformer.h.0.attn.c_attn has, whose weight is 24 × 8; give at "
                + "most 8"
        ),
        (
            #"{"r": 4, "total_step": 9}"#,
            "1:7: error: r: adalora has no r: give init_r, the rank at first, and target_r, the rank at last"
        ),
        (#"{"total_step": 9, "use_dora": true}"#, "1:31: error: use_dora: isn't supported with adalora"),
    ]

    @Test("says what is wrong with its settings", arguments: errors)
    func complaints(_ settings: String, text: String) throws {
        let small = try SmallModel()
        let logits = small.logits
        #expect(complaint { _ = try small.install(AdaLoRA.self, settings) } == text)
        #expect(small.logits == logits)
    }
}
