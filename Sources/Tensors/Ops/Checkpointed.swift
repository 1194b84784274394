/// y = `body`, of which nothing is kept for the way back but what it captures: there it is computed once more and gone
/// through at once (Chen et al. 2016, "Training deep nets with sublinear memory cost").
///
/// The gradients have the same bits as without, in the same order of their sums.
///
/// - Parameter body: Must compute the same at both calls, told whether it is the second one, whose value nobody reads
///   but whose record counts.
public func checkpointed(_ body: @escaping (_ isReplay: Bool) -> Tensor) -> Tensor {
    guard Recording.isOn else { return body(false) }
    let (value, nodes) = collectingNodes { body(false) }
    if nodes.isEmpty { return value }
    // Stands for all that the body reads, whose nodes get their gradients when it is gone through.
    let whole = (
        node: GradientNode(inputs: []),
        pullback: { (dy: Tensor, _: inout Gradient) in
            let boundary = GradientNode.lastOrder
            body(true).backward(seed: dy, downTo: boundary)
        }
    )
    return value.detached().record([whole] + nodes.map { ($0, { _, _ in }) })
}
