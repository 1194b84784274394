import Diagnostics

/// The angles of rotary position embeddings, as what turns a pair: [positions, half] each, for `half` pairs of columns of
/// every head.
public struct RotaryTable {
    public let cosines: Tensor
    public let sines: Tensor

    public init(cosines: Tensor, sines: Tensor) {
        require(cosines.shape == sines.shape, "RotaryTable: cosines \(cosines.shape), sines \(sines.shape)")
        self.cosines = cosines
        self.sines = sines
    }

    public var positionCount: Int { cosines.rowCount }
    var half: Int { cosines.columnCount }
}

/// Rotary position embedding (Su et al. 2021, "RoFormer", section 3.2.2) of x [rows, heads · headSize], the row i at
/// `positions[i]`: of each head the columns j and j + half are turned by the angle of pair j,
///
///     y_j = x_j cos − x_{j + half} sin,   y_{j + half} = x_{j + half} cos + x_j sin,
///
/// and those from 2 · half on stay as they are.
public func rotary(_ x: Tensor, positions: [Int], table: RotaryTable, headSize: Int) -> Tensor {
    require(
        headSize > 0 && x.columnCount % headSize == 0 && 2 * table.half <= headSize && positions.count == x.rowCount
            && positions.allSatisfy { $0 >= 0 && $0 < table.positionCount },
        "rotary: x \(x.shape) in heads of \(headSize), \(positions.count) positions up to \(positions.max() ?? 0), "
            + "a table of \(table.cosines.shape)")
    let y = Tensor(uninitialized: x.shape)
    rotate(x, into: y, positions: positions, table: table, headSize: headSize, direction: 1, adding: false)
    return y.record([
        pullback(for: x) { dy, dx in
            let (target, isFresh) = dx.accumulator(shape: dy.shape)
            // The transpose of a turn is the turn back.
            rotate(
                dy, into: target, positions: positions, table: table, headSize: headSize, direction: -1,
                adding: !isFresh)
        }
    ])
}

private func rotate(
    _ x: Tensor, into y: Tensor, positions: [Int], table: RotaryTable, headSize: Int, direction: Float, adding: Bool
) {
    let (width, half) = (x.columnCount, table.half)
    WorkerPool.shared.run(over: x.rowCount, grain: rowGrain(width)) { rows in
        for row in rows {
            let cosines = table.cosines.data + positions[row] * half
            let sines = table.sines.data + positions[row] * half
            for head in stride(from: row * width, to: (row + 1) * width, by: headSize) {
                rotateHead(
                    x.data + head, y.data + head, cosines, sines, half: half, size: headSize, direction: direction,
                    adding: adding)
            }
        }
    }
}

@inline(__always) private func rotateHead(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ cosines: UnsafePointer<Float>,
    _ sines: UnsafePointer<Float>, half: Int, size: Int, direction: Float, adding: Bool
) {
    var j = 0
    while j + 8 <= half {
        let (a, b) = (x.lanes(j), x.lanes(j + half))
        let (cosine, sine) = (cosines.lanes(j), sines.lanes(j) * direction)
        let (first, second) = (a * cosine - b * sine, b * cosine + a * sine)
        y.setLanes(j, adding ? y.lanes(j) + first : first)
        y.setLanes(j + half, adding ? y.lanes(j + half) + second : second)
        j += 8
    }
    while j < half {
        let (cosine, sine) = (cosines[j], sines[j] * direction)
        let (first, second) = (x[j] * cosine - x[j + half] * sine, x[j + half] * cosine + x[j] * sine)
        y[j] = adding ? y[j] + first : first
        y[j + half] = adding ? y[j + half] + second : second
        j += 1
    }
    for j in 2 * half..<size { y[j] = adding ? y[j] + x[j] : x[j] }
}
