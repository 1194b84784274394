import Diagnostics

/// Goes once over a parameter and its gradient, eight elements at a time on all threads; lanes behind the last element
/// hold zeros.
@inline(__always) func updateElements(
    _ parameter: Tensor, _ gradient: Tensor, _ step: (_ p: Lanes, _ g: Lanes) -> Lanes
) {
    requireEqualCounts(parameter, [gradient])
    let (p, g) = (parameter.data, gradient.data)
    WorkerPool.shared.run(over: parameter.count, grain: elementGrain) { range in
        var i = range.lowerBound
        while i + 8 <= range.upperBound {
            p.setLanes(i, step(p.lanes(i), g.lanes(i)))
            i += 8
        }
        let rest = range.upperBound - i
        if rest > 0 { step(some(p + i, rest), some(g + i, rest)).store(p + i, count: rest) }
    }
    OpTimer.lap()
}

/// The same with one number that is remembered of each element.
@inline(__always) func updateElements(
    _ parameter: Tensor, _ gradient: Tensor, _ state: Tensor,
    _ step: (_ p: Lanes, _ g: Lanes, _ a: Lanes) -> (Lanes, Lanes)
) {
    requireEqualCounts(parameter, [gradient, state])
    let (p, g, a) = (parameter.data, gradient.data, state.data)
    WorkerPool.shared.run(over: parameter.count, grain: elementGrain) { range in
        var i = range.lowerBound
        while i + 8 <= range.upperBound {
            let new = step(p.lanes(i), g.lanes(i), a.lanes(i))
            p.setLanes(i, new.0)
            a.setLanes(i, new.1)
            i += 8
        }
        let rest = range.upperBound - i
        if rest > 0 {
            let new = step(some(p + i, rest), some(g + i, rest), some(a + i, rest))
            new.0.store(p + i, count: rest)
            new.1.store(a + i, count: rest)
        }
    }
    OpTimer.lap()
}

/// The same with two numbers.
@inline(__always) func updateElements(
    _ parameter: Tensor, _ gradient: Tensor, _ first: Tensor, _ second: Tensor,
    _ step: (_ p: Lanes, _ g: Lanes, _ a: Lanes, _ b: Lanes) -> (Lanes, Lanes, Lanes)
) {
    requireEqualCounts(parameter, [gradient, first, second])
    let (p, g, a, b) = (parameter.data, gradient.data, first.data, second.data)
    WorkerPool.shared.run(over: parameter.count, grain: elementGrain) { range in
        var i = range.lowerBound
        while i + 8 <= range.upperBound {
            let new = step(p.lanes(i), g.lanes(i), a.lanes(i), b.lanes(i))
            p.setLanes(i, new.0)
            a.setLanes(i, new.1)
            b.setLanes(i, new.2)
            i += 8
        }
        let rest = range.upperBound - i
        if rest > 0 {
            let new = step(some(p + i, rest), some(g + i, rest), some(a + i, rest), some(b + i, rest))
            new.0.store(p + i, count: rest)
            new.1.store(a + i, count: rest)
            new.2.store(b + i, count: rest)
        }
    }
    OpTimer.lap()
}

@inline(__always) private func some(_ x: UnsafePointer<Float>, _ count: Int) -> Lanes {
    Lanes(x, count: count, otherwise: 0)
}

private func requireEqualCounts(_ parameter: Tensor, _ others: [Tensor]) {
    require(
        others.allSatisfy { $0.count == parameter.count } && !parameter.isReadOnly,
        "updateElements: parameter \(parameter.shape) with \(others.map(\.shape))")
}
