import ArgumentParser
import JSONText
import Tensors

/// Measures how long the matrix products of a step take at best: OpenBLAS with its own threads, and with one thread on
/// each part of several splits, the fastest of all for each shape.
struct CeilingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ceiling", abstract: "Time the bare matrix products of the steps, as JSON.")

    @Option(help: "A model folder.")
    var model: String

    @Option(help: "Rows of the layers' products; by default those of the dense batch.")
    var rows: Int?

    @Option(
        help:
            "Rows of the output layer's product, and of a decoder's beside an encoder; by default those of the dense batch."
    )
    var targets: Int?

    @Flag(help: "Only the products of steps that train adapters: no weight gradients.")
    var adaptersOnly = false

    @OptionGroup var size: BatchOptions

    func run() throws {
        size.apply()
        let products = try StepProducts(model: model, size, rows: rows, targets: targets)
        func seconds(_ list: [StepProducts.Entry]) -> Double {
            list.reduce(0) { $0 + Double($1.count) * $1.product.fastest().seconds }
        }
        func flops(_ list: [StepProducts.Entry]) -> Double {
            list.reduce(0) { $0 + Double($1.count) * $1.product.flops }
        }
        let inner = seconds(products.forward + products.innerGradients)
        let lowest = seconds(products.lowestGradient)
        let weights = adaptersOnly ? 0 : seconds(products.weightGradients)
        let innerFlops = flops(products.forward + products.innerGradients)
        let allFlops = innerFlops + flops(products.lowestGradient)
        func entry(_ seconds: Double, _ flops: Double) -> JSONValue {
            ["seconds": .number(seconds), "gigaflops": .number(flops / seconds / 1e9)]
        }
        emit([
            "kernel": .string(Processor.matrixKernel), "threads": .integer(size.threads),
            "rows": .integer(products.rows), "targets": .integer(products.targets),
            "adapters": entry(inner, innerFlops), "biases": entry(inner + lowest, allFlops),
            "full": adaptersOnly
                ? .null : entry(inner + lowest + weights, allFlops + flops(products.weightGradients)),
        ])
    }
}
