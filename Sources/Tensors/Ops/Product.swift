/// c ← c + scale · op(a) · op(b) for matrices, where op transposes or not; nothing is recorded.
public func addProduct(
    _ a: Tensor, transposingFirst: Bool, _ b: Tensor, transposingSecond: Bool, scale: Float, to c: Tensor
) {
    precondition(!c.isReadOnly, "addProduct: the memory of a mapped file cannot be changed")
    multiply(
        Matrix(
            a.data, rows: transposingFirst ? a.columnCount : a.rowCount,
            columns: transposingFirst ? a.rowCount : a.columnCount, isTransposed: transposingFirst),
        Matrix(
            b.data, rows: transposingSecond ? b.columnCount : b.rowCount,
            columns: transposingSecond ? b.rowCount : b.columnCount, isTransposed: transposingSecond),
        into: c.data, stride: c.columnCount, alpha: scale, beta: 1)
}
