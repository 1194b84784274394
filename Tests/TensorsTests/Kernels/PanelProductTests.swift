import CVectors
import Tensors
import TestSupport
import Testing

struct PanelProductTests {
    @Test(
        "sixteen floats at a time give the bits of eight, where the processor has them",
        .enabled(if: peft_has_wide_vectors() != 0),
        arguments: [(4, 16, 1), (8, 48, 5), (12, 32, 64), (64, 128, 33)], [false, true])
    func bits(shape: (Int, Int, Int), isTransposed: Bool) {
        let (rows, columns, depth) = shape
        let a = noise(rows * depth)
        let b = noise(depth * columns, seed: 2)
        let start = noise(rows * (columns + 3), seed: 3)
        for adding in [false, true] {
            var (wide, narrow) = (start, start)
            let (rowStep, depthStep) = isTransposed ? (1, rows) : (depth, 1)
            peft_wide_panel_product(
                a, rowStep, depthStep, b, depth * 16, &wide, columns + 3, rows, columns, depth, adding ? 1 : 0)
            narrowPanelProduct(
                a, rowStep: rowStep, depthStep: depthStep, b, panelStride: depth * 16, into: &narrow,
                stride: columns + 3, rows: rows, columns: columns, depth: depth, adding: adding)
            #expect(wide.map(\.bitPattern) == narrow.map(\.bitPattern))
        }
    }
}
