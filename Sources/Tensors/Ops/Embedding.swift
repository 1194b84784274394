import Diagnostics

/// yᵢ = table[tokensᵢ] + positionTable[positionsᵢ], shape [tokens, width]; without a `positionTable` the first alone.
///
/// A token of 0 and more is a row of `tokenTable`; token −1 − k is the virtual token k, row k of `virtualTable`. The row of
/// the token `frozen` gets no gradient.
public func embed(
    tokens: [Int32], positions: [Int32], tokenTable: any StoredTensor, frozen: Int32? = nil,
    virtualTable: Tensor? = nil, positionTable: (any StoredTensor)?
) -> Tensor {
    let width = tokenTable.columnCount
    require(
        tokens.count == positions.count && (positionTable?.columnCount ?? width) == width
            && (virtualTable?.columnCount ?? width) == width,
        "embed: \(tokens.count) tokens, \(positions.count) positions, tables \(tokenTable.shape), "
            + "\(virtualTable?.shape ?? []), \(positionTable?.shape ?? [])")
    checkIndices(tokens.lazy.filter { $0 >= 0 }, table: tokenTable)
    if positionTable != nil { checkIndices(positions, table: positionTable) }
    checkIndices(tokens.lazy.filter { $0 < 0 }.map { -1 - $0 }, table: virtualTable)
    let y = Tensor(uninitialized: [tokens.count, width])
    WorkerPool.shared.run(over: tokens.count, grain: max(1, elementGrain / width)) { range in
        for i in range {
            let token = Int(tokens[i])
            let row = y.data + i * width
            if token < 0, let virtualTable {
                virtualTable.copyRow(-1 - token, to: row)
            } else {
                tokenTable.copyRow(token, to: row)
            }
            positionTable?.addRow(Int(positions[i]), to: row)
        }
    }
    return y.record([
        pullback(for: tokenTable as? Tensor) { dy, gradient in
            scatter(dy, to: learning(tokens, frozen), of: tokenTable.shape, &gradient)
        },
        pullback(for: virtualTable) { dy, gradient in
            if let virtualTable { scatter(dy, to: tokens.map { -1 - $0 }, of: virtualTable.shape, &gradient) }
        },
        pullback(for: positionTable as? Tensor) { dy, gradient in
            if let positionTable { scatter(dy, to: positions, of: positionTable.shape, &gradient) }
        },
    ])
}

/// The indices with −1, which no row has, for the one that doesn't learn.
func learning(_ indices: [Int32], _ frozen: Int32?) -> [Int32] {
    frozen.map { frozen in indices.map { $0 == frozen ? -1 : $0 } } ?? indices
}

func checkIndices(_ indices: some Sequence<Int32>, table: (any StoredTensor)?) {
    let outside = indices.first { $0 < 0 || Int($0) >= table?.rowCount ?? 0 }
    require(outside == nil, "embed: row \(outside ?? 0) of a table \(table?.shape ?? [])")
}

/// Adds each row of `dy` to the row of the table's gradient that it was read from, where its index isn't negative.
///
/// The parts are column ranges, so that each sum is taken in the order of the rows whatever thread does it.
func scatter(_ dy: Tensor, to indices: [Int32], of shape: [Int], _ gradient: inout Gradient) {
    let (target, isFresh) = gradient.accumulator(shape: shape)
    let width = target.columnCount
    require(
        dy.rowCount == indices.count && dy.columnCount == width,
        "scatter: \(dy.shape) to \(indices.count) rows of \(shape)")
    if isFresh {
        WorkerPool.shared.run(over: target.count, grain: elementGrain) { range in
            (target.data + range.lowerBound).update(repeating: 0, count: range.count)
        }
    }
    WorkerPool.shared.run(over: width, grain: 64) { columns in
        for (i, index) in indices.enumerated() where index >= 0 {
            let row = target.data + Int(index) * width + columns.lowerBound
            addRows(row, dy.data + i * width + columns.lowerBound, into: row, count: columns.count)
        }
    }
}

/// y = a + b on the calling thread.
@inline(__always) func addRows(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int
) {
    var i = 0
    while i + 8 <= count {
        y.setLanes(i, a.lanes(i) + b.lanes(i))
        i += 8
    }
    while i < count {
        y[i] = a[i] + b[i]
        i += 1
    }
}
