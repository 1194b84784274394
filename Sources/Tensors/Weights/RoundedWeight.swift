import Diagnostics

/// A weight whose products take both sides rounded to BF16 and add them up as 32-bit floats: what mixed precision training
/// (Micikevicius et al. 2018) does to the weight, which itself stays as it is, and to what it is multiplied by.
public final class RoundedWeight: BaseWeight {
    private let weight: any BlockOperandSource

    /// `weight` with such products; as it is where the processor has none.
    public static func rounding(_ weight: any BaseWeight) -> any BaseWeight {
        guard Processor.hasBFloat16Products, let source = weight as? any BlockOperandSource else { return weight }
        return RoundedWeight(source)
    }

    private init(_ weight: any BlockOperandSource) { self.weight = weight }

    public var inputSize: Int { weight.inputSize }
    public var outputSize: Int { weight.outputSize }
    public var isInputByOutput: Bool { weight.isInputByOutput }
    public var trainable: Tensor? { weight.trainable }

    public func multiply(
        _ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>, beta: Float,
        byRow: Bool, epilogue: ((Tile) -> Void)?
    ) {
        require(beta == 0 || beta == 1, "RoundedWeight: β = \(beta)")
        BlockProduct.run(
            Matrix(x, rows: rows, columns: inputSize), weight.operand(isTransposed: true), into: y, stride: outputSize,
            adding: beta == 1, isRounding: true, epilogue: epilogue)
    }

    public func multiplyTransposed(
        _ dy: UnsafePointer<Float>, rows: Int, into dx: UnsafeMutablePointer<Float>, beta: Float
    ) {
        require(beta == 0 || beta == 1, "RoundedWeight: β = \(beta)")
        BlockProduct.run(
            Matrix(dy, rows: rows, columns: outputSize), weight.operand(isTransposed: false), into: dx,
            stride: inputSize, adding: beta == 1, isRounding: true, epilogue: nil)
    }
}
