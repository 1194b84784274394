import CVectors
import Diagnostics

/// A frozen weight copied into panels of sixteen outputs, in the order in which our own kernels read it: for the few rows
/// of generation, where copying a block of the weight costs as much as multiplying by it.
///
/// Element (o, i) lies at `o / 16 * (16 · inputs) + i * 16 + o % 16`, the last panel filled up with zeros. All results have
/// the bits that they have with the tensor that was copied.
public final class PackedWeight: BaseWeight, BlockOperandSource {
    /// What was copied, [inputs, outputs] or [outputs, inputs].
    public let source: any StoredTensor
    public let isInputByOutput: Bool
    private let panels: TensorStorage
    private let format: HalfFormat?

    /// nil where our own kernels aren't used, or where the copy would be in memory beside the tensor, because that isn't
    /// one of a mapped file, which gives its memory back.
    public init?(_ source: any StoredTensor, isInputByOutput: Bool) {
        require(source.shape.count == 2, "PackedWeight: shape \(source.shape)")
        guard BlockProduct.isPreferred, let lender = source.lender, source.count > 0 else { return nil }
        self.source = source
        self.isInputByOutput = isInputByOutput
        let data: UnsafeRawPointer
        switch source {
        case let tensor as Tensor: (data, format) = (UnsafeRawPointer(tensor.data), nil)
        case let tensor as HalfTensor: (data, format) = (UnsafeRawPointer(tensor.data), tensor.format)
        default: return nil
        }
        let (inputs, outputs) =
            isInputByOutput ? (source.shape[0], source.shape[1]) : (source.shape[1], source.shape[0])
        let bytes = format == nil ? 4 : 2
        panels = TensorStorage(shape: [(outputs + 15) / 16, 16 * inputs * bytes / 4])
        let operand = BlockOperand(
            data, format, isInputByOutput ? .byRows : .byColumns, rows: inputs, columns: outputs,
            stride: source.shape[1])
        nonisolated(unsafe) let target = UnsafeMutableRawPointer(panels.base)
        WorkerPool.shared.run(over: outputs, grain: Self.outputsAtOnce) { range in
            peft_pack_panels(
                operand.address(row: 0, column: range.lowerBound), operand.stride, operand.formatCode,
                operand.layoutCode, inputs, range.count, target + range.lowerBound * inputs * bytes)
            // The largest weights, output layers, are never there twice.
            if !isInputByOutput {
                lender.releasePages(
                    of: UnsafeRawBufferPointer(
                        start: operand.address(row: 0, column: range.lowerBound), count: range.count * inputs * bytes))
            }
        }
        source.releasePages()
    }

    /// A multiple of sixteen.
    private static let outputsAtOnce = 96

    public var inputSize: Int { source.shape[isInputByOutput ? 0 : 1] }
    public var outputSize: Int { source.shape[isInputByOutput ? 1 : 0] }
    public var trainable: Tensor? { nil }

    public func multiply(
        _ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>, beta: Float,
        byRow: Bool, epilogue: ((Tile) -> Void)?
    ) {
        let (inputs, outputs) = (inputSize, outputSize)
        require(beta == 0 || beta == 1, "PackedWeight: β = \(beta)")
        BlockProduct.run(
            Matrix(x, rows: rows, columns: inputs), operand(isTransposed: true), into: y, stride: outputs,
            adding: beta == 1, epilogue: epilogue)
    }

    public func multiplyTransposed(
        _ dy: UnsafePointer<Float>, rows: Int, into dx: UnsafeMutablePointer<Float>, beta: Float
    ) {
        let (inputs, outputs) = (inputSize, outputSize)
        require(beta == 0 || beta == 1, "PackedWeight: β = \(beta)")
        BlockProduct.run(
            Matrix(dy, rows: rows, columns: outputs), operand(isTransposed: false), into: dx, stride: inputs,
            adding: beta == 1, epilogue: nil)
    }

    func operand(isTransposed: Bool) -> BlockOperand {
        let (inputs, outputs) = (inputSize, outputSize)
        return BlockOperand(
            panels.base, format, isTransposed ? .inPanels : .acrossPanels, rows: isTransposed ? inputs : outputs,
            columns: isTransposed ? outputs : inputs, stride: 16 * inputs)
    }
}
