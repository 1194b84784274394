import Diagnostics

/// ‖M Mᵀ − I‖_F for M [rank, width], or ‖MᵀM − I‖_F for M [width, rank] where `byColumns`; [1].
///
/// With R = M Mᵀ − I the gradient is 2 R M / ‖R‖, and 0 where the norm is, as torch has it.
public func orthogonalityError(_ m: Tensor, byColumns: Bool) -> Tensor {
    let rank = byColumns ? m.columnCount : m.rowCount
    let constant = m.detached()
    let r = matrixProduct(constant, transposingFirst: byColumns, constant, transposingSecond: !byColumns, scale: 1)
    for i in 0..<rank { r.data[i * rank + i] -= 1 }
    let norm = Float(sumOfSquares(r).squareRoot())
    return Tensor([norm], shape: [1]).record([
        pullback(for: m) { dy, dm in
            let scale = norm == 0 ? 0 : 2 * dy.data[0] / norm
            dm.add(
                byColumns
                    ? matrixProduct(constant, transposingFirst: false, r, transposingSecond: false, scale: scale)
                    : matrixProduct(r, transposingFirst: false, constant, transposingSecond: false, scale: scale))
        }
    ])
}

/// y = Σ factor · x over tensors of one shape.
public func weightedSum(_ terms: [Tensor], factor: Float) -> Tensor {
    let shape = terms.first?.shape ?? [1]
    require(terms.allSatisfy { $0.shape == shape }, "weightedSum: shapes \(terms.map(\.shape))")
    let y = Tensor(zeros: shape)
    for term in terms {
        for i in 0..<y.count { y.data[i] += factor * term.data[i] }
    }
    return y.record(
        terms.map { term in
            pullback(for: term) { dy, dx in
                let (target, isFresh) = dx.accumulator(shape: shape)
                for i in 0..<dy.count { target.data[i] = (isFresh ? 0 : target.data[i]) + factor * dy.data[i] }
            }
        })
}
