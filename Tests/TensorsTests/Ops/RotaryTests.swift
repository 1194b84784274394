import Foundation
import Tensors
import TestSupport
import Testing

struct RotaryTests {
    private func table(positions: Int, half: Int) -> (floats: RotaryTable, angles: [Double]) {
        let angles = (0..<positions * half).map { index in
            Double(index / half) * pow(10_000, -Double(index % half) / Double(half))
        }
        let table = RotaryTable(
            cosines: Tensor(angles.map { Float(cos($0)) }, shape: [positions, half]),
            sines: Tensor(angles.map { Float(sin($0)) }, shape: [positions, half]))
        return (table, angles)
    }

    private func reference(_ x: [Double], positions: [Int], angles: [Double], half: Int, size: Int) -> [Double] {
        let width = x.count / positions.count
        var y = x
        for start in stride(from: 0, to: x.count, by: size) {
            let position = positions[start / width]
            for j in 0..<half {
                let angle = angles[position * half + j]
                let (a, b) = (x[start + j], x[start + j + half])
                y[start + j] = a * cos(angle) - b * sin(angle)
                y[start + j + half] = b * cos(angle) + a * sin(angle)
            }
        }
        return y
    }

    @Test(
        "output and gradient match the formula",
        arguments: [(1, 1, 2, 1), (3, 2, 8, 4), (5, 3, 64, 32), (4, 2, 20, 10), (3, 2, 24, 3), (2, 1, 7, 2)])
    func matchesFormula(rows: Int, heads: Int, size: Int, half: Int) {
        let positions = (0..<rows).map { ($0 * 7 + 2) % 11 }
        let (table, angles) = table(positions: 11, half: half)
        let x = Tensor(noise(rows * heads * size, seed: 8, scale: 30), shape: [rows, heads * size])
        let found = deviation(
            of: { rotary($0[0], positions: positions, table: table, headSize: size) },
            from: { reference($0[0], positions: positions, angles: angles, half: half, size: size) }, at: [x])
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-6)
    }

    @Test("at position 0 nothing is turned, and columns beyond the pairs never are")
    func still() {
        let (table, _) = table(positions: 4, half: 2)
        let x = Tensor(noise(12, seed: 9), shape: [2, 6])
        let y = rotary(x, positions: [0, 3], table: table, headSize: 6)
        #expect(Array(y.values[..<6]) == Array(x.values[..<6]))
        #expect(Array(y.values[10...]) == Array(x.values[10...]))
        #expect(y.values[6] != x.values[6])
    }

    @Test("a gradient is added to what is there")
    func added() {
        let (table, angles) = table(positions: 5, half: 9)
        let x = Tensor(noise(40, seed: 3), shape: [2, 20])
        let found = deviation(
            of: { addResidual($0[0], rotary($0[0], positions: [4, 1], table: table, headSize: 20), dropout: nil) },
            from: { inputs in
                let turned = reference(inputs[0], positions: [4, 1], angles: angles, half: 9, size: 20)
                return zip(inputs[0], turned).map { $0 + $1 }
            }, at: [x])
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-6)
    }
}
