/// A frozen weight of numbers of 16 bits in the layout of its file, read where it lies and converted at each use.
///
/// A weight of usual size is converted as a whole into memory that the next one uses again, which costs each element
/// once a product and gives the bits of the same weight kept as floats. One that is too large for that, such as an
/// output layer over a vocabulary, is converted block by block by the threads that multiply with it.
public final class HalfWeight: BaseWeight {
    /// [inputs, outputs] or [outputs, inputs].
    public let tensor: HalfTensor
    public let isInputByOutput: Bool

    public init(_ tensor: HalfTensor, isInputByOutput: Bool) {
        precondition(tensor.shape.count == 2, "HalfWeight: shape \(tensor.shape)")
        self.tensor = tensor
        self.isInputByOutput = isInputByOutput
    }

    public var inputSize: Int { tensor.shape[isInputByOutput ? 0 : 1] }
    public var outputSize: Int { tensor.shape[isInputByOutput ? 1 : 0] }
    public var trainable: Tensor? { nil }

    /// The most elements that are converted at once: 32 MiB as floats.
    package static let wholeLimit = 1 << 23

    private var whole: DenseWeight? {
        tensor.count <= Self.wholeLimit ? DenseWeight(tensor.floats, isInputByOutput: isInputByOutput) : nil
    }

    public func multiply(
        _ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>, beta: Float,
        epilogue: ((Tile) -> Void)?
    ) {
        if tensor.format == .bfloat16, rows > 0, outputSize > 0 {
            // A few rows are multiplied straight from the file's numbers: half the reading from memory.
            var right = Matrix(
                UnsafePointer(OpaquePointer(tensor.data)), rows: inputSize, columns: outputSize,
                isTransposed: !isInputByOutput)
            right.isHalf = true
            let left = Matrix(x, rows: rows, columns: inputSize)
            if SkinnyProduct.suits(left, right) {
                return SkinnyProduct.run(
                    left, right, into: y, stride: outputSize, alpha: 1, beta: beta, epilogue: epilogue)
            }
        }
        if let whole {
            return withExtendedLifetime(whole) {
                whole.multiply(x, rows: rows, into: y, beta: beta, epilogue: epilogue)
            }
        }
        let (inputs, outputs) = (inputSize, outputSize)
        WorkerPool.shared.run(over: outputs, grain: Self.blockColumns) { columns in
            withConverted(outputs: columns) { block in
                let right = Matrix(
                    block, rows: inputs, columns: columns.count, isTransposed: !isInputByOutput)
                for tileRows in Self.rowTiles(rows) {
                    gemm(
                        Matrix(x + tileRows.lowerBound * inputs, rows: tileRows.count, columns: inputs), right,
                        into: y + tileRows.lowerBound * outputs + columns.lowerBound, stride: outputs, alpha: 1,
                        beta: beta)
                    epilogue?(Tile(rows: tileRows, columns: columns))
                }
            }
        }
    }

    public func multiplyTransposed(
        _ dy: UnsafePointer<Float>, rows: Int, into dx: UnsafeMutablePointer<Float>, beta: Float
    ) {
        if let whole {
            return withExtendedLifetime(whole) { whole.multiplyTransposed(dy, rows: rows, into: dx, beta: beta) }
        }
        let (inputs, outputs) = (inputSize, outputSize)
        // Shares of the sum over the outputs, by the weight's shape alone, each with a result of its own.
        let share = ((outputs + Self.depthParts - 1) / Self.depthParts + 15) & ~15
        let parts = (outputs + share - 1) / share
        let sums = Tensor(uninitialized: [parts, rows, inputs])
        WorkerPool.shared.run(parts) { part in
            let end = min(outputs, (part + 1) * share)
            let sum = sums.data + part * rows * inputs
            for first in stride(from: part * share, to: end, by: Self.blockColumns) {
                let depth = first..<min(end, first + Self.blockColumns)
                withConverted(outputs: depth) { block in
                    let right = Matrix(block, rows: depth.count, columns: inputs, isTransposed: isInputByOutput)
                    for tileRows in Self.rowTiles(rows) {
                        gemm(
                            Matrix(
                                dy + tileRows.lowerBound * outputs + first, rows: tileRows.count, columns: depth.count,
                                stride: outputs), right, into: sum + tileRows.lowerBound * inputs, stride: inputs,
                            alpha: 1, beta: first == part * share ? 0 : 1)
                    }
                }
            }
        }
        WorkerPool.shared.run(over: rows * inputs, grain: elementGrain) { range in
            for i in range {
                var sum: Float = 0
                for part in 0..<parts { sum += sums.data[part * rows * inputs + i] }
                dx[i] = beta == 0 ? sum : beta * dx[i] + sum
            }
        }
    }

    /// Outputs whose weights are converted together, small enough for the second level of cache.
    private static let blockColumns = 384
    /// Eight parts serve 2, 4 and 8 threads evenly.
    private static let depthParts = 8

    private static func rowTiles(_ rows: Int) -> [Range<Int>] {
        stride(from: 0, to: rows, by: 256).map { $0..<min(rows, $0 + 256) }
    }

    /// Calls `body` with the weights of some outputs as floats, [inputs, outputs] or [outputs, inputs] as in the file.
    private func withConverted(outputs: Range<Int>, _ body: (UnsafePointer<Float>) -> Void) {
        let block = TensorStorage(count: outputs.count * inputSize)
        if isInputByOutput {
            for row in 0..<inputSize {
                tensor.format.convert(
                    tensor.data + row * outputSize + outputs.lowerBound, to: block.base + row * outputs.count,
                    count: outputs.count)
            }
        } else {
            tensor.format.convert(
                tensor.data + outputs.lowerBound * inputSize, to: block.base, count: outputs.count * inputSize)
        }
        withExtendedLifetime(block) { body(block.base) }
    }
}
