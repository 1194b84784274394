import ArgumentParser
import COpenBLAS
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

    @Option(help: "Rows of the output layer's product; by default as many as the others.")
    var targets: Int?

    @Flag(help: "Only the products of steps that train adapters: no weight gradients.")
    var adaptersOnly = false

    @OptionGroup var size: BatchOptions

    func run() throws {
        size.apply()
        let fields = try JSONNode.load(path: model + "/config.json")
        let layerCount = try fields.integer("n_layer")
        let width = try fields.integer("n_embd")
        let vocabulary = try fields.integer("vocab_size")
        let inner = try fields.optionalInteger("n_inner") ?? 4 * width
        let rows = self.rows ?? size.batch * (size.length - 1)
        let targets = self.targets ?? rows
        // Inputs and outputs of a block's layers, and how often.
        let layers = [(width, 3 * width), (width, width), (width, inner), (inner, width)]
        var forward = 0.0
        var inputGradients = 0.0
        var weightGradients = 0.0
        var flops = 0.0
        func add(_ count: Int, rows: Int, _ inputs: Int, _ outputs: Int) {
            let factor = Double(count)
            forward += factor * best(Shape(m: rows, n: outputs, k: inputs))
            inputGradients += factor * best(Shape(m: rows, n: inputs, k: outputs, transposesB: true))
            if !adaptersOnly {
                weightGradients += factor * best(Shape(m: inputs, n: outputs, k: rows, transposesA: true))
            }
            flops += factor * 2 * Double(rows) * Double(inputs) * Double(outputs)
        }
        for (index, (inputs, outputs)) in layers.enumerated() {
            // Of the last block only the labelled rows are needed once its attention is done.
            let last = index == 0 || targets == rows ? 0 : 1
            add(layerCount - last, rows: rows, inputs, outputs)
            if last > 0 { add(last, rows: targets, inputs, outputs) }
        }
        forward += best(Shape(m: targets, n: vocabulary, k: width, transposesB: true))
        inputGradients += best(Shape(m: targets, n: width, k: vocabulary))
        if !adaptersOnly { weightGradients += best(Shape(m: vocabulary, n: width, k: targets, transposesA: true)) }
        flops += 2 * Double(targets) * Double(width) * Double(vocabulary)
        // Nothing below the lowest adapted layer wants a gradient, which is c_attn's input in the first block.
        let unneeded = best(Shape(m: rows, n: width, k: 3 * width, transposesB: true))
        let unneededFlops = 2 * Double(rows) * 3 * Double(width) * Double(width)
        func entry(_ seconds: Double, _ flops: Double) -> JSONValue {
            ["seconds": .number(seconds), "gigaflops": .number(flops / seconds / 1e9)]
        }
        let adapted = entry(forward + inputGradients - unneeded, 2 * flops - unneededFlops)
        emit([
            "kernel": .string(Processor.matrixKernel), "threads": .integer(size.threads), "rows": .integer(rows),
            "targets": .integer(targets), "adapters": adapted, "biases": entry(forward + inputGradients, 2 * flops),
            "full": adaptersOnly ? .null : entry(forward + inputGradients + weightGradients, 3 * flops),
        ])
    }

    private struct Shape {
        var m: Int
        var n: Int
        var k: Int
        var transposesA = false
        var transposesB = false
    }

    /// The fastest way's best time of three, in seconds; ways that are far behind after the first are tried no more.
    private func best(_ shape: Shape) -> Double {
        let (m, n, k) = (shape.m, shape.n, shape.k)
        let a = Tensor(repeating: 0.5, [m, k])
        let b = Tensor(repeating: 0.25, [k, n])
        let c = Tensor(zeros: [m, n])
        func product(rows: Range<Int>, columns: Range<Int>) {
            cblas_sgemm(
                Int32(PEFTBlasRowMajor), Int32(shape.transposesA ? PEFTBlasTrans : PEFTBlasNoTrans),
                Int32(shape.transposesB ? PEFTBlasTrans : PEFTBlasNoTrans), Int32(rows.count), Int32(columns.count),
                Int32(k), 1, a.data + rows.lowerBound * (shape.transposesA ? 1 : k), Int32(shape.transposesA ? m : k),
                b.data + columns.lowerBound * (shape.transposesB ? k : 1), Int32(shape.transposesB ? k : n), 0,
                c.data + rows.lowerBound * n + columns.lowerBound, Int32(n))
        }
        func split(_ tileRows: Int, _ tileColumns: Int) {
            let across = (n + tileColumns - 1) / tileColumns
            WorkerPool.shared.run((m + tileRows - 1) / tileRows * across) { index in
                let (row, column) = (index / across * tileRows, index % across * tileColumns)
                product(rows: row..<min(m, row + tileRows), columns: column..<min(n, column + tileColumns))
            }
        }
        func share(_ total: Int) -> Int { max(16, ((total + size.threads - 1) / size.threads + 15) & ~15) }
        let whole: [() -> Void] =
            [
                {
                    openblas_set_num_threads(Int32(size.threads))
                    product(rows: 0..<m, columns: 0..<n)
                    openblas_set_num_threads(1)
                }
            ]
            + [(512, 256), (256, 512), (256, 384), (512, 384), (512, 768), (1024, 288)].map { tile in
                { split(tile.0, tile.1) }
            }
        let shared: [() -> Void] = [
            { split(share(m), n) },
            { split(m, share(n)) },
            { split((m + 1) / 2, (n + 1) / 2) },
        ]
        func seconds(_ way: () -> Void) -> Double {
            let start = ContinuousClock.now
            way()
            return start.duration(to: .now) / .seconds(1)
        }
        // On one thread the others are all the first way.
        let ways = size.threads == 1 ? whole : whole + shared
        let first = ways.map { (way: $0, seconds: seconds($0)) }
        let limit = 1.25 * (first.map(\.seconds).min() ?? .nan)
        let further = first.filter { $0.seconds <= limit }.flatMap { [seconds($0.way), seconds($0.way)] }
        return (first.map(\.seconds) + further).min() ?? .nan
    }
}
