import Diagnostics

/// The weight of a linear layer, y = x · Wᵀ with W [outputs, inputs], however it is kept in memory.
public protocol BaseWeight: AnyObject {
    var inputSize: Int { get }
    var outputSize: Int { get }
    /// Whether the file keeps it as [inputs, outputs], as GPT-2's Conv1D does; `fan_in_fan_out` in adapter files.
    var isInputByOutput: Bool { get }
    /// The weight itself where it is trained, so that its gradient is wanted.
    var trainable: Tensor? { get }

    /// y ← x · Wᵀ + β · y for x [rows, inputs], y [rows, outputs]; `epilogue` is called for each finished tile of y.
    ///
    /// - Parameter byRow: Whether a row of y has the same bits whatever rows are beside it, as long as they are few.
    func multiply(
        _ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>, beta: Float,
        byRow: Bool, epilogue: ((Tile) -> Void)?)

    /// dx ← dy · W + β · dx for dy [rows, outputs], dx [rows, inputs].
    func multiplyTransposed(
        _ dy: UnsafePointer<Float>, rows: Int, into dx: UnsafeMutablePointer<Float>, beta: Float)
}

/// A weight that our own kernels read as it is kept.
protocol BlockOperandSource: BaseWeight {
    /// W [outputs, inputs], or Wᵀ.
    func operand(isTransposed: Bool) -> BlockOperand
}

/// A weight of 32-bit floats in the layout of its file, read where it lies.
public final class DenseWeight: BaseWeight, BlockOperandSource {
    /// [inputs, outputs] or [outputs, inputs].
    public var tensor: Tensor
    public let isInputByOutput: Bool

    public init(_ tensor: Tensor, isInputByOutput: Bool) {
        require(tensor.shape.count == 2, "DenseWeight: shape \(tensor.shape)")
        self.tensor = tensor
        self.isInputByOutput = isInputByOutput
    }

    public var inputSize: Int { tensor.shape[isInputByOutput ? 0 : 1] }
    public var outputSize: Int { tensor.shape[isInputByOutput ? 1 : 0] }
    public var trainable: Tensor? { tensor.needsGradient ? tensor : nil }

    public func multiply(
        _ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>, beta: Float,
        byRow: Bool, epilogue: ((Tile) -> Void)?
    ) {
        let (x, w) = (Matrix(x, rows: rows, columns: inputSize), logical(isTransposed: true))
        if BlockProduct.suits(beta: beta) {
            return BlockProduct.run(
                x, BlockOperand(w), into: y, stride: outputSize, adding: beta == 1, epilogue: epilogue)
        }
        Tensors.multiply(
            x, w, into: y, stride: outputSize, alpha: 1, beta: beta, byRow: byRow, epilogue: epilogue)
    }

    public func multiplyTransposed(
        _ dy: UnsafePointer<Float>, rows: Int, into dx: UnsafeMutablePointer<Float>, beta: Float
    ) {
        let (dy, w) = (Matrix(dy, rows: rows, columns: outputSize), logical(isTransposed: false))
        if BlockProduct.suits(beta: beta) {
            return BlockProduct.run(
                dy, BlockOperand(w), into: dx, stride: inputSize, adding: beta == 1, epilogue: nil)
        }
        Tensors.multiply(dy, w, into: dx, stride: inputSize, alpha: 1, beta: beta, byRow: false)
    }

    func operand(isTransposed: Bool) -> BlockOperand { BlockOperand(logical(isTransposed: isTransposed)) }

    /// W [outputs, inputs], or Wᵀ.
    private func logical(isTransposed: Bool) -> Matrix {
        Matrix(
            tensor.data, rows: isTransposed ? inputSize : outputSize, columns: isTransposed ? outputSize : inputSize,
            isTransposed: isTransposed != isInputByOutput)
    }
}
