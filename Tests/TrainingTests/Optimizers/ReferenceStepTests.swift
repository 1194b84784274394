import Checkpoints
import Configuration
import FoundationEssentials
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

/// The cases of `optimizer-steps/steps.json`.
private let cases: [String] =
    (try? JSONNode.load(path: fixture("optimizer-steps/steps.json").path()).asObject().map(\.key)) ?? []

@Suite("The steps of an optimizer") struct ReferenceStepTests {
    @Test("are after fifty of them those of the one that transformers builds, to 1e-5", arguments: cases)
    func fiftySteps(name: String) throws {
        let settings = try JSONNode.load(path: fixture("optimizer-steps/steps.json").path()).required(name)
        let configuration = try RunConfiguration(
            .parse(
                yaml: """
                    model: {path: x}
                    data: {train: x.txt}
                    peft: {method: full}
                    training: {output_dir: x, \(settings.plain.text(.compact).dropFirst().dropLast())}
                    """), warn: { _ in })
        let model = try BaseModel.load(fixture("train/base").path(), randomSeed: nil, warn: { _ in }).model
        let shapes = [("weight", [6, 10]), ("table", [20, 17]), ("bias", [7])]
        let parameters = shapes.enumerated().map { index, shape in
            let count = shape.1.reduce(1, *)
            return TrainableParameter(
                name: shape.0, tensor: Tensor(noise(count, seed: UInt64(index + 1)), shape: shape.1),
                decays: shape.0 != "bias")
        }
        for parameter in parameters { parameter.tensor.track() }
        let optimizer = try configuration.optimizer(of: parameters, in: model)
        optimizer.state.allocate()
        for step in 0..<50 {
            for (index, parameter) in parameters.enumerated() {
                let own = noise(parameter.count, seed: UInt64(1000 * (index + 1) + step))
                let values = parameter.tensor.values
                let gradient = own.indices.map { place -> Float in
                    let size: Float = [1, 0.1, 0.01, 0.001][place % 4]
                    return size * own[place] + values[place] / 5
                }
                let zero = Tensor(zeros: parameter.tensor.shape)
                addResidual(parameter.tensor, zero, dropout: nil).backward(
                    seed: Tensor(gradient, shape: parameter.tensor.shape))
            }
            optimizer.step(
                learningRate: configuration.training.learningRate * Double(100 - step) / 100, gradientNorm: 0)
            optimizer.clearGradients()
        }
        #expect(optimizer.stepCount == 50)
        let file = try SafetensorsFile(path: fixture("optimizer-steps/steps.safetensors").path(), warn: { _ in })
        for parameter in parameters {
            let expected = try file.raw(named: "\(name).\(parameter.name)").doubles()
            let difference = largestDifference(parameter.tensor.values.map(Double.init), expected)
            #expect(difference <= 1e-5, "\(parameter.name): \(difference)")
        }
    }

    @Test("are tried for every optimizer but those in 8 bits and GaLore, which have tests of their own")
    func everyOptimizer() throws {
        let rows = try JSONNode.load(path: fixture("optimizer-steps/steps.json").path())
        let tried = Set(try cases.map { try rows.required($0).string("optim") })
        let left = optimizers.filter { Set($0.names).isDisjoint(with: tried) }.map { $0.names[0] }
        #expect(left.filter { !$0.contains("8bit") } == ["paged_adamw_32bit", "galore_adamw"])
    }
}

@Suite("LoRA+") struct LoRAPlusTests {
    private static let file = fixture("optimizer-steps/groups.json").path()

    private func parameters(_ peft: String, _ training: String) throws -> [TrainableParameter] {
        let configuration = try RunConfiguration(
            .parse(
                yaml: """
                    model: {path: x}
                    data: {train: x.txt}
                    peft: \(peft)
                    training: {output_dir: x, learning_rate: 1.0e-3, \(training)}
                    """), warn: { _ in })
        let model = try BaseModel.load(fixture("train/base").path(), randomSeed: nil, warn: { _ in }).model
        let installation = try configuration.method.install(
            into: model, InstallationContext(seed: 1, basePath: "", isTraining: true))
        return try configuration.optimizer(of: installation.trainable, in: model).parameters
    }

    @Test("has peft's groups", arguments: ["dora", "biases", "modules", "tokens"])
    func groups(name: String) throws {
        let row = try JSONNode.load(path: Self.file).required(name)
        var peft = try row.required("peft").plain
        if case .object(let members) = peft { peft = .object([.init("method", "lora")] + members) }
        let parameters = try parameters(
            peft.text(.compact), "loraplus_lr_ratio: 16, loraplus_lr_embedding: 2.0e-4, loraplus_weight_decay: 0.1")
        let expected = try row.required("groups").asObject()
        #expect(expected.count == parameters.count)
        for member in expected {
            let name = member.key
            let found = try #require(
                parameters.first { $0.name.replacing(".base_layer", with: "") == name }, "\(name)")
            let numbers = try member.value.asArray().map { try $0.asNumber() }
            #expect(abs(found.rateFactor - numbers[0]) < 1e-12, "\(name): \(found.rateFactor)")
            #expect(found.decays == (numbers[1] > 0), "\(name)")
        }
    }

    @Test("and smoothed labels read back from what a run leaves behind to the same, without a word")
    func readBack() throws {
        for settings in ["", "loraplus_lr_ratio: 4", "label_smoothing_factor: 0.1, loraplus_lr_ratio: 4"] {
            let first = try RunConfiguration(
                .parse(
                    yaml: """
                        model: {path: x}
                        data: {train: x.txt}
                        peft: {method: lora}
                        training: {output_dir: x, \(settings)}
                        """)
            ) { Issue.record($0) }
            let again = try RunConfiguration(.parse(yaml: first.resolvedYAML)) { Issue.record($0) }
            #expect(again.resolvedYAML == first.resolvedYAML)
            #expect(again.training.optimizer == first.training.optimizer)
            #expect(again.training.labelSmoothing == first.training.labelSmoothing)
        }
    }

    @Test("goes with methods that have a second factor, and its keys with its ratio")
    func refused() throws {
        func complaint(_ peft: String, _ training: String) -> String {
            do {
                _ = try parameters(peft, training)
                return "none"
            } catch { return "\(error)" }
        }
        #expect(
            complaint("{method: ia3}", "loraplus_lr_ratio: 4")
                == "4:69: error: training.loraplus_lr_ratio: goes with low-rank changes, whose second factor it gives another "
                + "rate (lora, adalora), and with method ia3 nothing of that kind trains")
        #expect(complaint("{method: adalora, total_step: 1000}", "loraplus_lr_ratio: 4") == "none")
        #expect(
            complaint("{method: lora}", "loraplus_lr_embedding: 1.0e-3")
                == "4:73: error: training.loraplus_lr_embedding: does nothing without loraplus_lr_ratio")
    }
}
