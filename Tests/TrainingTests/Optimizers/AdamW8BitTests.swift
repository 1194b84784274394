import Checkpoints
import Configuration
import FoundationEssentials
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

@Suite("AdamW with its state in 8 bits") struct AdamW8BitTests {
    /// The distance of parameters from those of 32 bits over the way that these went, and how far they went themselves.
    private struct Course {
        let deviation: Double
        let share: Double

        init(_ found: [Double], _ exact: [Double]) {
            func norm(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 }.squareRoot() }
            func way(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1.magnitude } }
            deviation = norm(zip(found, exact).map { $0 - $1 }) / norm(exact)
            share = way(found) / way(exact)
        }
    }

    @Test("has bitsandbytes' maps to the bit")
    func maps() throws {
        let file = try SafetensorsFile(path: fixture("optimizers/maps.safetensors").path(), warn: { _ in })
        #expect(try file.tensor(named: "signed").values == DynamicMap.signed.values)
        #expect(try file.tensor(named: "unsigned").values == DynamicMap.unsigned.values)
    }

    @Test("follows 32 bits closer than bitsandbytes where gradients are 1,000 times smaller than others of their block")
    func deviations() throws {
        let file = try SafetensorsFile(path: fixture("optimizers/eight-bit.safetensors").path(), warn: { _ in })
        let exact = try file.raw(named: "torch").doubles()
        let theirs = try file.raw(named: "bitsandbytes").doubles()
        let count = exact.count
        let parameter = Tensor(zeros: [count])
        let (m, v) = (moment(count), moment(count))
        let drift = noise(count).map { $0 / 2 }
        for step in 0..<100 {
            let gradient = zip(drift, noise(count, seed: UInt64(100 + step))).enumerated().map { index, parts in
                (index % 2 == 0 ? 1 : 1e-3) * (parts.0 + parts.1)
            }
            adamW8Bit(
                parameter: parameter, gradient: Tensor(gradient, shape: [count]), firstMoment: m, secondMoment: v,
                AdamWStep(
                    learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, number: step + 1,
                    gradientScale: 1))
        }
        func half(_ values: [Double], _ first: Int) -> [Double] {
            stride(from: first, to: count, by: 2).map { values[$0] }
        }
        let found = parameter.values.map(Double.init)
        let large = (Course(half(found, 0), half(exact, 0)), Course(half(theirs, 0), half(exact, 0)))
        #expect(large.0.deviation < 0.0105 && large.1.deviation > 0.0095)
        let small = (Course(half(found, 1), half(exact, 1)), Course(half(theirs, 1), half(exact, 1)))
        #expect(small.0.deviation < 0.27 && small.0.share < 1.15)
        #expect(small.1.deviation > 0.79 && small.1.share < 0.21)
        #expect(Course(found, exact).deviation < 0.35 * Course(theirs, exact).deviation)
    }

    private func moment(_ count: Int) -> CodedMoment {
        CodedMoment(codes: ByteTensor(zeros: [count]), scales: Tensor(zeros: [CodedMoment.blockCount(count)]))
    }

    @Test("has tables of embeddings and small parameters in 32 bits, the rest in 8")
    func kinds() throws {
        let training = try TinyTraining(model: TinyTraining.wider)
        let configuration = try training.configuration(["peft.method=full", "training.optim=adamw_bnb_8bit"])
        let model = try BaseModel.load(training.scratch("model"), randomSeed: 1, warn: { _ in }).model
        let trainable = try Full().install(
            into: model, InstallationContext(seed: 1, basePath: "", isTraining: true)
        ).trainable
        let optimizer = try configuration.optimizer(of: trainable, in: model)
        let entries = optimizer.state.entries
        let coded = entries.filter { $0.elements == .bytes }.map(\.name)
        let names = trainable.filter { $0.count >= 4096 && !$0.name.contains(".wt") }.map(\.name)
        #expect(names.count == 4 && trainable.contains { $0.name == "transformer.wte.weight" && $0.count >= 4096 })
        #expect(coded == names.flatMap { ["exp_avg.\($0)", "exp_avg_sq.\($0)"] })
        let (large, all) = (names.count * 4096, trainable.reduce(0) { $0 + $1.count })
        #expect(optimizer.state.byteCount == 2 * large + 2 * large / 256 * 4 + 8 * (all - large))
    }
}
