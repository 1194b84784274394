import ArgumentParser
import Configuration
import JSONText
import Layers
import Methods
import Tensors
import Training

/// Times the step of every optimizer on all parameters of a model, in turn with torch's fused AdamW where there is one.
struct OptimizersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "optimizers",
        abstract: "Time the steps of all optimizers on every parameter of a model; JSON lines on the standard output.")

    @Option(help: "A model folder.")
    var model: String

    @Option(help: "A Python with torch, whose fused AdamW is timed in turn.")
    var reference: String?

    @Option(help: "Steps of each that count, of which the fastest is told.")
    var steps = 3

    @Option(help: "Only the optimizers of these names, with commas between them.")
    var only: String?

    private static let arguments = [
        "sgd": "momentum=0.9", "rmsprop": "momentum=0.9, centered=true",
    ]

    func run() throws {
        let base = try BaseModel.load(model, randomSeed: nil, warn: { _ in })
        let installation = try Full().install(
            into: base.model, InstallationContext(seed: 1, basePath: "", isTraining: true))
        let parameters = installation.trainable
        let total = parameters.reduce(0) { $0 + $1.count }
        for parameter in parameters {
            let tensor = parameter.tensor
            let gradient = Tensor((0..<tensor.count).map { Float($0 % 97) * 1e-4 - 0.004 }, shape: tensor.shape)
            addResidual(tensor, Tensor(zeros: tensor.shape), dropout: nil).backward(seed: gradient)
        }
        let wanted = only?.split(separator: ",").map(String.init)
        for type in optimizers where !type.takesTargets && !type.isPaged {
            let name = type.names[0]
            guard wanted?.contains(name) ?? true else { continue }
            try time(name, nil, parameters, base, total)
            if let arguments = Self.arguments[name] { try time(name, arguments, parameters, base, total) }
        }
    }

    private func time(
        _ name: String, _ arguments: String?, _ parameters: [TrainableParameter], _ base: BaseModel, _ total: Int
    ) throws {
        let settings = arguments.map { ", optim_args: '\($0)'" } ?? ""
        let configuration = try RunConfiguration(
            .parse(
                yaml: """
                    model: {path: x}
                    data: {train: x.txt}
                    peft: {method: full}
                    training: {output_dir: x, weight_decay: 0.01, optim: \(name)\(settings)}
                    """), warn: { _ in })
        let optimizer = try configuration.optimizer(of: parameters, in: base.model)
        optimizer.state.allocate()
        var (own, others): ([Double], [Double]) = ([], [])
        for step in 0...steps {
            let start = ContinuousClock.now
            optimizer.step(learningRate: 1e-6, gradientNorm: 0)
            let seconds = start.duration(to: .now) / .seconds(1)
            if step > 0 { own.append(seconds) }
        }
        if let reference {
            let child = try runChild([reference, "Benchmarks/reference_optimizer.py", "\(total)", "\(steps)"])
            others = [try child.summary().number("seconds")]
        }
        let (ownBest, otherBest) = (own.min() ?? 0, others.min())
        emit([
            "optimizer": .string(name), "arguments": .string(arguments ?? ""), "parameters": .integer(total),
            "seconds": .number(ownBest), "torch_fused_adamw_seconds": otherBest.map(JSONValue.number) ?? nil,
            "ratio": otherBest.map { .number(ownBest / $0) } ?? nil,
        ])
    }
}
