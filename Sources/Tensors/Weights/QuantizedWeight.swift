import CVectors
import Diagnostics

/// A frozen weight of 4 or 8 bits, of which a product makes floats panel by panel, in cache.
///
/// While training, codes are multiplied by their scales as they are unpacked. Where `byRow`, products of codes in panels
/// are summed chunk by chunk before the scale, for one row straight from the codes, and with the same bits for several.
public final class QuantizedWeight: BaseWeight, BlockOperandSource {
    public let tensor: QuantizedTensor

    public init(_ tensor: QuantizedTensor) { self.tensor = tensor }

    public var inputSize: Int { tensor.inputSize }
    public var outputSize: Int { tensor.outputSize }
    public var isInputByOutput: Bool { tensor.isInputByOutput }
    public var trainable: Tensor? { nil }

    func operand(isTransposed: Bool) -> BlockOperand { BlockOperand(tensor.codes, isTransposed: isTransposed) }

    public func multiply(
        _ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>, beta: Float,
        byRow: Bool, epilogue: ((Tile) -> Void)?
    ) {
        require(beta == 0 || beta == 1, "QuantizedWeight: β = \(beta)")
        if byRow && tensor.codes.in_panels != 0 {
            return multiplyByRow(x, rows: rows, into: y, adding: beta == 1, epilogue: epilogue)
        }
        BlockProduct.run(
            Matrix(x, rows: rows, columns: inputSize), operand(isTransposed: true), into: y,
            stride: outputSize, adding: beta == 1, epilogue: epilogue)
    }

    public func multiplyTransposed(
        _ dy: UnsafePointer<Float>, rows: Int, into dx: UnsafeMutablePointer<Float>, beta: Float
    ) {
        require(beta == 0 || beta == 1, "QuantizedWeight: β = \(beta)")
        BlockProduct.run(
            Matrix(dy, rows: rows, columns: outputSize), operand(isTransposed: false), into: dx,
            stride: inputSize, adding: beta == 1, epilogue: nil)
    }

    /// The most rows whose sums of a chunk are kept at once, and the most of a part.
    private static let highest = 48
    private static let rowsOfPart = 192

    private func multiplyByRow(
        _ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>, adding: Bool,
        epilogue: ((Tile) -> Void)?
    ) {
        let (inputs, outputs) = (inputSize, outputSize)
        if rows == 0 || outputs == 0 { return }
        if rows == 1 {
            // Halves of panels where there are few, so that small layers are shared out too.
            return WorkerPool.shared.run(over: outputs, grain: outputs >= 512 ? 64 : 32) { columns in
                var codes = tensor.codes
                peft_quantized_row(
                    &codes, x, columns.lowerBound, columns.count, y + columns.lowerBound, adding ? 1 : 0)
                epilogue?(Tile(rows: 0..<1, columns: columns))
            }
        }
        let height = TileGrid.share(rows, atMost: Self.rowsOfPart, multiple: 6)
        let across = (outputs + 63) / 64
        let operand = operand(isTransposed: true)
        WorkerPool.shared.run((rows + height - 1) / height * across) { index in
            let (row, panel) = (index / across * height, index % across)
            let columns = panel * 64..<min(outputs, panel * 64 + 64)
            let part = row..<min(rows, row + height)
            var codes = tensor.codes
            let chunk = peft_quantized_chunk(&codes)
            let values = TensorStorage(shape: [64, chunk])
            let sums = TensorStorage(shape: [Self.highest, 64])
            let scales = TensorStorage(shape: [64])
            for first in stride(from: 0, to: inputs, by: chunk) {
                let depth = min(chunk, inputs - first)
                operand.unpack(rows: first..<first + depth, columns: columns, isScaled: false, to: values.base)
                peft_quantized_scales(&codes, first, columns.lowerBound, columns.count, scales.base)
                for start in stride(from: part.lowerBound, to: part.upperBound, by: Self.highest) {
                    let count = min(Self.highest, part.upperBound - start)
                    var block = peft_block(
                        a: x + start * inputs + first, a_stride: inputs, a_by_columns: 0, b: values.base, b_stride: 0,
                        b_format: 0, b_layout: 0, c: sums.base, c_stride: 64, rows: count, columns: columns.count,
                        depth: depth, depth_after: 0, adds: 0, copies: 0)
                    block.takePanels(values.base, isCopying: false)
                    let isDone = peft_block_product(&block) != 0
                    if !isDone { endWithoutMemory("the copy of a product's operand") }
                    peft_add_scaled(
                        sums.base, 64, scales.base, y + start * outputs + columns.lowerBound, outputs, count,
                        columns.count, adding || first > 0 ? 1 : 0)
                }
            }
            epilogue?(Tile(rows: part, columns: columns))
        }
    }
}
