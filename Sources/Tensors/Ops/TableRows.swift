import Diagnostics

/// yᵢ = table[indicesᵢ]: rows of a table [entries, width], [indices, width]; an entry may be read any number of times,
/// and the entry `frozen` gets no gradient.
public func tableRows(_ table: any StoredTensor, _ indices: [Int32], frozen: Int32? = nil) -> Tensor {
    checkIndices(indices, table: table)
    let width = table.columnCount
    let y = Tensor(uninitialized: [indices.count, width])
    for (i, index) in indices.enumerated() {
        table.copyRow(Int(index), to: y.data + i * width)
    }
    return y.record([
        pullback(for: table as? Tensor) { dy, gradient in
            scatter(dy, to: learning(indices, frozen), of: table.shape, &gradient)
        }
    ])
}

/// yᵢ[k] = table[k, indicesᵢ]: columns of a table [rank, entries] as rows, [indices, rank]; the column `frozen` gets no
/// gradient.
public func tableColumns(_ table: Tensor, _ indices: [Int32], frozen: Int32? = nil) -> Tensor {
    let (rank, entries) = (table.rowCount, table.columnCount)
    let outside = indices.first { $0 < 0 || Int($0) >= entries }
    require(outside == nil, "tableColumns: column \(outside ?? 0) of a table \(table.shape)")
    let y = Tensor(uninitialized: [indices.count, rank])
    for (i, index) in indices.enumerated() {
        for k in 0..<rank { y.data[i * rank + k] = table.data[k * entries + Int(index)] }
    }
    return y.record([
        pullback(for: table) { dy, gradient in
            let (target, isFresh) = gradient.accumulator(shape: table.shape)
            if isFresh { target.data.update(repeating: 0, count: target.count) }
            for (i, index) in indices.enumerated() where index != frozen {
                for k in 0..<rank { target.data[k * entries + Int(index)] += dy.data[i * rank + k] }
            }
        }
    ])
}

/// yᵢ = overrides[choicesᵢ] where there is a choice, and xᵢ elsewhere, for x [rows, width], overrides [entries, width]; the
/// override `frozen` gets no gradient.
public func overrideRows(_ x: Tensor, _ overrides: Tensor, _ choices: [Int?], frozen: Int? = nil) -> Tensor {
    require(
        x.rowCount == choices.count && x.columnCount == overrides.columnCount,
        "overrideRows: \(x.shape) by \(overrides.shape), \(choices.count) choices")
    let entries = overrides.rowCount
    let outside = choices.first { choice in choice.map { $0 < 0 || $0 >= entries } ?? false }
    require(outside == nil, "overrideRows: row \((outside ?? nil) ?? 0) of \(overrides.shape)")
    let width = x.columnCount
    let y = x.copy()
    for (i, choice) in choices.enumerated() {
        if let choice { (y.data + i * width).update(from: overrides.data + choice * width, count: width) }
    }
    return y.record([
        pullback(for: overrides) { dy, gradient in
            let (target, isFresh) = gradient.accumulator(shape: overrides.shape)
            if isFresh { target.data.update(repeating: 0, count: target.count) }
            for (i, choice) in choices.enumerated() {
                guard let choice, choice != frozen else { continue }
                let row = target.data + choice * width
                addRows(row, dy.data + i * width, into: row, count: width)
            }
        },
        pullback(for: x) { dy, gradient in
            let (target, isFresh) = gradient.accumulator(shape: dy.shape)
            for (i, choice) in choices.enumerated() {
                let row = target.data + i * width
                if choice == nil {
                    if isFresh {
                        row.update(from: dy.data + i * width, count: width)
                    } else {
                        addRows(row, dy.data + i * width, into: row, count: width)
                    }
                } else if isFresh {
                    row.update(repeating: 0, count: width)
                }
            }
        },
    ])
}
