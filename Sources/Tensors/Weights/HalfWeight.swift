import Diagnostics

/// A frozen weight of numbers of 16 bits in the layout of its file, read where it lies and converted at each use.
///
/// A weight of usual size is converted as a whole into memory that the next one uses again, which costs each element
/// once a product and gives the bits of the same weight kept as floats. One that is too large for that, such as an
/// output layer over a vocabulary, is converted block by block by the threads that multiply with it, and our own kernels
/// convert every weight so.
public final class HalfWeight: BaseWeight, BlockOperandSource {
    /// [inputs, outputs] or [outputs, inputs].
    public let tensor: HalfTensor
    public let isInputByOutput: Bool

    public init(_ tensor: HalfTensor, isInputByOutput: Bool) {
        require(tensor.shape.count == 2, "HalfWeight: shape \(tensor.shape)")
        self.tensor = tensor
        self.isInputByOutput = isInputByOutput
    }

    public var inputSize: Int { tensor.shape[isInputByOutput ? 0 : 1] }
    public var outputSize: Int { tensor.shape[isInputByOutput ? 1 : 0] }
    public var trainable: Tensor? { nil }

    func operand(isTransposed: Bool) -> BlockOperand {
        BlockOperand(
            tensor.data, tensor.format, isTransposed != isInputByOutput ? .byColumns : .byRows,
            rows: isTransposed ? inputSize : outputSize, columns: isTransposed ? outputSize : inputSize,
            stride: tensor.shape[1])
    }

    /// The most elements that are converted at once: 32 MiB as floats.
    package static let wholeLimit = 1 << 23

    private var whole: DenseWeight? {
        tensor.count <= Self.wholeLimit ? DenseWeight(tensor.floats, isInputByOutput: isInputByOutput) : nil
    }

    public func multiply(
        _ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>, beta: Float,
        byRow: Bool, epilogue: ((Tile) -> Void)?
    ) {
        if BlockProduct.suits(beta: beta) {
            return BlockProduct.run(
                Matrix(x, rows: rows, columns: inputSize), operand(isTransposed: true), into: y, stride: outputSize,
                adding: beta == 1, epilogue: epilogue)
        }
        if tensor.format == .bfloat16, rows > 0, outputSize > 0 {
            // A few rows are multiplied straight from the file's numbers: half the reading from memory.
            let right = SkinnyOperand(
                upperHalves: tensor.data, rows: inputSize, columns: outputSize, isTransposed: !isInputByOutput)
            let left = Matrix(x, rows: rows, columns: inputSize)
            if SkinnyProduct.suits(left, by: right, byRow: byRow) {
                return SkinnyProduct.run(
                    left, right, into: y, stride: outputSize, alpha: 1, beta: beta, epilogue: epilogue)
            }
        }
        if let whole {
            return withExtendedLifetime(whole) {
                whole.multiply(x, rows: rows, into: y, beta: beta, byRow: byRow, epilogue: epilogue)
            }
        }
        if rows == 0 { return }
        let (inputs, outputs) = (inputSize, outputSize)
        // The tiles of the same weight as floats, which have the same bits then.
        let grid = TileGrid(rows: rows, columns: outputs, depth: inputs)
        WorkerPool.shared.run(over: outputs, grain: min(grid.tileColumns, Self.blockColumns)) { columns in
            withConverted(outputs: columns, inputs: 0..<inputs) { block in
                let right = Matrix(
                    block, rows: inputs, columns: columns.count, isTransposed: !isInputByOutput)
                for start in stride(from: 0, to: rows, by: grid.tileRows) {
                    let tileRows = start..<min(rows, start + grid.tileRows)
                    gemm(
                        Matrix(x + start * inputs, rows: tileRows.count, columns: inputs), right,
                        into: y + start * outputs + columns.lowerBound, stride: outputs, alpha: 1, beta: beta)
                    epilogue?(Tile(rows: tileRows, columns: columns))
                }
            }
        }
    }

    public func multiplyTransposed(
        _ dy: UnsafePointer<Float>, rows: Int, into dx: UnsafeMutablePointer<Float>, beta: Float
    ) {
        if BlockProduct.suits(beta: beta) {
            return BlockProduct.run(
                Matrix(dy, rows: rows, columns: outputSize), operand(isTransposed: false), into: dx, stride: inputSize,
                adding: beta == 1, epilogue: nil)
        }
        if let whole {
            return withExtendedLifetime(whole) { whole.multiplyTransposed(dy, rows: rows, into: dx, beta: beta) }
        }
        if rows == 0 { return }
        // Shares of the sum over the outputs, by the weight's shape alone, each with a result of its own.
        let share = ((outputSize + Self.depthParts - 1) / Self.depthParts + 15) & ~15
        let parts = (outputSize + share - 1) / share
        // Equal blocks of the inputs, at least two, so that four parts are work for eight threads.
        let width = TileGrid.share(
            inputSize, atMost: min(Self.blockInputs, max(16, (inputSize + 1) / 2)), multiple: 16)
        let across = (inputSize + width - 1) / width
        let count = rows * inputSize
        let sums = Tensor(uninitialized: [Self.partsAtOnce, rows, inputSize])
        let total = beta == 0 ? nil : Tensor(uninitialized: [rows, inputSize])
        let target = total?.data ?? dx
        for firstPart in stride(from: 0, to: parts, by: Self.partsAtOnce) {
            let partsHere = min(Self.partsAtOnce, parts - firstPart)
            WorkerPool.shared.run(partsHere * across) { index in
                let (part, block) = index.quotientAndRemainder(dividingBy: across)
                let start = (firstPart + part) * share
                let inputs = block * width..<min(inputSize, (block + 1) * width)
                sumShare(
                    dy, rows: rows, outputs: start..<min(outputSize, start + share), inputs: inputs,
                    into: sums.data + part * count + inputs.lowerBound)
            }
            WorkerPool.shared.run(over: count, grain: elementGrain) { range in
                for i in range {
                    var sum = firstPart == 0 ? 0 : target[i]
                    for part in 0..<partsHere { sum += sums.data[part * count + i] }
                    target[i] = sum
                }
            }
        }
        guard let total else { return }
        WorkerPool.shared.run(over: count, grain: elementGrain) { range in
            for i in range { dx[i] = beta * dx[i] + total.data[i] }
        }
    }

    /// sum [rows, some inputs], rows `inputSize` apart, ← dy · W for a share of the outputs.
    private func sumShare(
        _ dy: UnsafePointer<Float>, rows: Int, outputs: Range<Int>, inputs: Range<Int>,
        into sum: UnsafeMutablePointer<Float>
    ) {
        let tileHeight = TileGrid(rows: rows, columns: inputSize, depth: outputSize).tileRows
        for first in stride(from: outputs.lowerBound, to: outputs.upperBound, by: Self.blockDepth) {
            let depth = first..<min(outputs.upperBound, first + Self.blockDepth)
            withConverted(outputs: depth, inputs: inputs) { block in
                let right = Matrix(block, rows: depth.count, columns: inputs.count, isTransposed: isInputByOutput)
                for start in stride(from: 0, to: rows, by: tileHeight) {
                    gemm(
                        Matrix(
                            dy + start * outputSize + first, rows: min(tileHeight, rows - start),
                            columns: depth.count, stride: outputSize), right, into: sum + start * inputSize,
                        stride: inputSize, alpha: 1, beta: first == outputs.lowerBound ? 0 : 1)
                }
            }
        }
    }

    /// Outputs whose weights are converted together, small enough for the second level of cache.
    private static let blockColumns = 384
    /// Eight parts serve 2, 4 and 8 threads evenly.
    private static let depthParts = 8
    /// Parts whose results wait to be added up, and the most outputs and inputs of a block on the way back.
    private static let partsAtOnce = 4
    private static let blockDepth = 192
    private static let blockInputs = 384

    /// Calls `body` with the weights between some outputs and some inputs as floats, [inputs, outputs] or
    /// [outputs, inputs] as in the file.
    private func withConverted(
        outputs: Range<Int>, inputs: Range<Int>, _ body: (UnsafePointer<Float>) -> Void
    ) {
        let block = TensorStorage(shape: [outputs.count, inputs.count])
        let (rows, columns) = isInputByOutput ? (inputs, outputs) : (outputs, inputs)
        let stride = tensor.shape[1]
        for row in rows {
            tensor.format.convert(
                tensor.data + row * stride + columns.lowerBound,
                to: block.base + (row - rows.lowerBound) * columns.count, count: columns.count)
        }
        withExtendedLifetime(block) { body(block.base) }
    }
}
