import CVectors

/// Sizes of the small products inside attention: all operands are copied into scratch memory whose rows and columns
/// are padded with zeros to these, so that the inner loop has no remainders.
package enum Panel {
    /// Columns of B and C that one step of the inner loop covers: two vectors.
    package static let width = 16
    /// Rows of A and C.
    static let height = 4

    static func padded(_ count: Int) -> Int { (count + width - 1) & ~(width - 1) }
}

/// C (+)= A · B on the calling thread, for `rows` (a multiple of 4) rows, `columns` (a multiple of 16) columns and any
/// depth.
///
/// Element (i, k) of A is at `a[i * rowStep + k * depthStep]`, so A may be read transposed. B lies in panels of 16
/// columns, one after the other, `panelStride` elements apart: element (k, j) at
/// `b[j / 16 * panelStride + k * 16 + j % 16]`.
package func panelProduct(
    _ a: UnsafePointer<Float>, rowStep: Int, depthStep: Int, _ b: UnsafePointer<Float>, panelStride: Int,
    into c: UnsafeMutablePointer<Float>, stride: Int, rows: Int, columns: Int, depth: Int, adding: Bool
) {
    if peft_uses_wide_vectors() != 0 {
        return peft_wide_panel_product(
            a, rowStep, depthStep, b, panelStride, c, stride, rows, columns, depth, adding ? 1 : 0)
    }
    narrowPanelProduct(
        a, rowStep: rowStep, depthStep: depthStep, b, panelStride: panelStride, into: c, stride: stride, rows: rows,
        columns: columns, depth: depth, adding: adding)
}

/// The same with vectors of eight floats, which every supported processor has.
@inline(__always)
package func narrowPanelProduct(
    _ a: UnsafePointer<Float>, rowStep: Int, depthStep: Int, _ b: UnsafePointer<Float>, panelStride: Int,
    into c: UnsafeMutablePointer<Float>, stride: Int, rows: Int, columns: Int, depth: Int, adding: Bool
) {
    var j = 0
    while j < columns {
        let panel = b + (j / Panel.width) * panelStride
        var i = 0
        while i < rows {
            panelTile(
                a + i * rowStep, rowStep, depthStep, panel, c + i * stride + j, stride, depth: depth, adding: adding)
            i += Panel.height
        }
        j += Panel.width
    }
}

@inline(__always)
private func panelTile(
    _ a: UnsafePointer<Float>, _ rowStep: Int, _ depthStep: Int, _ b: UnsafePointer<Float>,
    _ c: UnsafeMutablePointer<Float>, _ stride: Int, depth: Int, adding: Bool
) {
    let zero = Lanes(repeating: 0)
    var (c00, c01, c10, c11) = (zero, zero, zero, zero)
    var (c20, c21, c30, c31) = (zero, zero, zero, zero)
    if adding {
        (c00, c01) = (c.lanes(0), c.lanes(8))
        (c10, c11) = (c.lanes(stride), c.lanes(stride + 8))
        (c20, c21) = (c.lanes(2 * stride), c.lanes(2 * stride + 8))
        (c30, c31) = (c.lanes(3 * stride), c.lanes(3 * stride + 8))
    }
    var a = a
    var b = b
    for _ in 0..<depth {
        let (left, right) = (b.lanes(0), b.lanes(8))
        var factor = Lanes(repeating: a[0])
        c00.addProduct(factor, left)
        c01.addProduct(factor, right)
        factor = Lanes(repeating: a[rowStep])
        c10.addProduct(factor, left)
        c11.addProduct(factor, right)
        factor = Lanes(repeating: a[2 * rowStep])
        c20.addProduct(factor, left)
        c21.addProduct(factor, right)
        factor = Lanes(repeating: a[3 * rowStep])
        c30.addProduct(factor, left)
        c31.addProduct(factor, right)
        a += depthStep
        b += Panel.width
    }
    c.setLanes(0, c00)
    c.setLanes(8, c01)
    c.setLanes(stride, c10)
    c.setLanes(stride + 8, c11)
    c.setLanes(2 * stride, c20)
    c.setLanes(2 * stride + 8, c21)
    c.setLanes(3 * stride, c30)
    c.setLanes(3 * stride + 8, c31)
}

/// Rows of a matrix in memory that a kernel copies into panels.
struct Rows {
    var data: UnsafePointer<Float>
    var stride: Int
    var count: Int
    /// The number of columns that hold data.
    var width: Int
}

/// The rows times `scale`, padded with zeros to a multiple of 16 rows and columns, row after row.
func packRows(_ source: Rows, scale: Float, into target: UnsafeMutablePointer<Float>) {
    let width = Panel.padded(source.width)
    for row in 0..<source.count {
        let (from, to) = (source.data + row * source.stride, target + row * width)
        var column = 0
        while column + 8 <= source.width {
            to.setLanes(column, from.lanes(column) * scale)
            column += 8
        }
        while column < source.width {
            to[column] = from[column] * scale
            column += 1
        }
        while column < width {
            to[column] = 0
            column += 1
        }
    }
    let padding = Panel.padded(source.count) - source.count
    (target + source.count * width).update(repeating: 0, count: padding * width)
}

/// The rows times `scale` as a right operand: panels of 16 columns, each with all rows, padded with zeros to a multiple
/// of 16 rows.
func packPanels(_ source: Rows, scale: Float, into target: UnsafeMutablePointer<Float>) {
    let rows = Panel.padded(source.count)
    for panel in 0..<Panel.padded(source.width) / Panel.width {
        let first = panel * Panel.width
        let to = target + panel * rows * Panel.width
        if first + Panel.width <= source.width {
            for row in 0..<source.count {
                let from = source.data + row * source.stride + first
                to.setLanes(row * Panel.width, from.lanes(0) * scale)
                to.setLanes(row * Panel.width + 8, from.lanes(8) * scale)
            }
        } else {
            for row in 0..<source.count {
                for column in 0..<Panel.width {
                    let inside = first + column < source.width
                    to[row * Panel.width + column] =
                        inside ? source.data[row * source.stride + first + column] * scale : 0
                }
            }
        }
        (to + source.count * Panel.width).update(repeating: 0, count: (rows - source.count) * Panel.width)
    }
}

/// The transpose of the rows as a right operand: panels of 16 rows, each with all columns as its depth, padded with
/// zeros to a multiple of 16 rows and columns.
func packTransposedPanels(_ source: Rows, into target: UnsafeMutablePointer<Float>) {
    let width = Panel.padded(source.width)
    for panel in 0..<Panel.padded(source.count) / Panel.width {
        let first = panel * Panel.width
        let to = target + panel * width * Panel.width
        let rows = min(Panel.width, source.count - first)
        if rows < Panel.width || width != source.width { to.update(repeating: 0, count: width * Panel.width) }
        var row = 0
        while row < rows {
            let from = source.data + (first + row) * source.stride
            let height = row + 8 <= rows ? 8 : 1
            var column = 0
            if height == 8 {
                while column + 8 <= source.width {
                    peft_transpose(from + column, source.stride, to + column * Panel.width + row, Panel.width)
                    column += 8
                }
            }
            while column < source.width {
                for i in 0..<height { to[column * Panel.width + row + i] = from[i * source.stride + column] }
                column += 1
            }
            row += height
        }
    }
}

/// target (+)= scale · the first `width` columns of rows that were padded as `packRows` does.
@inline(__always)
func unpack(
    _ source: UnsafePointer<Float>, rows: Int, width: Int, _ scale: Float, _ target: UnsafeMutablePointer<Float>,
    _ stride: Int, _ adding: Bool
) {
    let padded = Panel.padded(width)
    for row in 0..<rows {
        let (from, to) = (source + row * padded, target + row * stride)
        var column = 0
        while column + 8 <= width {
            let value = from.lanes(column) * scale
            to.setLanes(column, adding ? to.lanes(column) + value : value)
            column += 8
        }
        while column < width {
            let value = from[column] * scale
            to[column] = adding ? to[column] + value : value
            column += 1
        }
    }
}
