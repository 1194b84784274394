import Diagnostics

/// c ← c + scale · op(a) · op(b) for matrices, where op transposes or not; nothing is recorded.
public func addProduct(
    _ a: Tensor, transposingFirst: Bool, _ b: Tensor, transposingSecond: Bool, scale: Float, to c: Tensor
) {
    require(!c.isReadOnly, "addProduct: the memory of a mapped file cannot be changed")
    let (left, right) = (operand(a, transposingFirst), operand(b, transposingSecond))
    require(
        left.columns == right.rows && c.rowCount == left.rows && c.columnCount == right.columns,
        "addProduct: \(a.shape)\(transposingFirst ? "ᵀ" : "") by \(b.shape)\(transposingSecond ? "ᵀ" : "") to \(c.shape)"
    )
    multiply(left, right, into: c.data, stride: c.columnCount, alpha: scale, beta: 1)
}

/// c = scale · op(a) · op(b) for matrices, where op transposes or not.
public func matrixProduct(
    _ a: Tensor, transposingFirst: Bool, _ b: Tensor, transposingSecond: Bool, scale: Float
) -> Tensor {
    let (left, right) = (operand(a, transposingFirst), operand(b, transposingSecond))
    require(
        left.columns == right.rows,
        "matrixProduct: \(a.shape)\(transposingFirst ? "ᵀ" : "") by \(b.shape)\(transposingSecond ? "ᵀ" : "")")
    let c = Tensor(uninitialized: [left.rows, right.columns])
    product(left, right, scale, into: c, isFresh: true)
    return c.record([
        pullback(for: a) { dc, gradient in
            let (target, isFresh) = gradient.accumulator(shape: a.shape)
            // da = dc · op(b)ᵀ, or its transpose op(b) · dcᵀ.
            if transposingFirst {
                product(operand(b, transposingSecond), operand(dc, true), scale, into: target, isFresh: isFresh)
            } else {
                product(operand(dc, false), operand(b, !transposingSecond), scale, into: target, isFresh: isFresh)
            }
        },
        pullback(for: b) { dc, gradient in
            let (target, isFresh) = gradient.accumulator(shape: b.shape)
            if transposingSecond {
                product(operand(dc, true), operand(a, transposingFirst), scale, into: target, isFresh: isFresh)
            } else {
                product(operand(a, !transposingFirst), operand(dc, false), scale, into: target, isFresh: isFresh)
            }
        },
    ])
}

/// op(a) as the product reads it.
private func operand(_ a: Tensor, _ isTransposed: Bool) -> Matrix {
    Matrix(
        a.data, rows: isTransposed ? a.columnCount : a.rowCount, columns: isTransposed ? a.rowCount : a.columnCount,
        isTransposed: isTransposed)
}

private func product(_ a: Matrix, _ b: Matrix, _ scale: Float, into c: Tensor, isFresh: Bool) {
    if a.columns == 0 {
        if isFresh { c.data.update(repeating: 0, count: c.count) }
        return
    }
    multiply(a, b, into: c.data, stride: c.columnCount, alpha: scale, beta: isFresh ? 0 : 1)
}

/// y = a ∘ b, element by element.
public func elementwiseProduct(_ a: Tensor, _ b: Tensor) -> Tensor {
    require(a.shape == b.shape, "elementwiseProduct: shapes \(a.shape) and \(b.shape)")
    let y = Tensor(uninitialized: a.shape)
    multiplyElements(a.data, b.data, y.data, count: y.count, adding: false)
    func part(of other: Tensor) -> GradientNode.Pullback {
        { dy, gradient in
            let (target, isFresh) = gradient.accumulator(shape: dy.shape)
            multiplyElements(dy.data, other.data, target.data, count: dy.count, adding: !isFresh)
        }
    }
    return y.record([pullback(for: a, part(of: b)), pullback(for: b, part(of: a))])
}

/// y = a / b, element by element, with b as a constant; 1 to the bit where both are the same.
public func elementwiseQuotient(_ a: Tensor, byConstant b: Tensor) -> Tensor {
    require(a.shape == b.shape, "elementwiseQuotient: shapes \(a.shape) and \(b.shape)")
    let y = Tensor(uninitialized: a.shape)
    for i in 0..<y.count { y.data[i] = a.data[i] / b.data[i] }
    return y.record([
        pullback(for: a) { dy, gradient in
            let (target, isFresh) = gradient.accumulator(shape: dy.shape)
            for i in 0..<dy.count { target.data[i] = (isFresh ? 0 : target.data[i]) + dy.data[i] / b.data[i] }
        }
    ])
}

/// y = a ∘ b, added to what `y` holds where `adding`.
private func multiplyElements(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, count: Int, adding: Bool
) {
    WorkerPool.shared.run(over: count, grain: elementGrain) { range in
        var i = range.lowerBound
        while i + 8 <= range.upperBound {
            let value = a.lanes(i) * b.lanes(i)
            y.setLanes(i, adding ? y.lanes(i) + value : value)
            i += 8
        }
        while i < range.upperBound {
            y[i] = (adding ? y[i] : 0) + a[i] * b[i]
            i += 1
        }
    }
}
