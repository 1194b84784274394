import Tensors
import TestSupport
import Testing

@Suite("Projections of gradients") struct GradientProjectionTests {
    private static let shapes = [(7, 7), (12, 5), (5, 12), (40, 33), (1, 6), (6, 1)]

    private func product(_ a: [[Double]], _ b: [[Double]]) -> [[Double]] {
        a.map { row in b[0].indices.map { j in row.indices.reduce(0) { $0 + row[$1] * b[$1][j] } } }
    }

    private func transposed(_ a: [[Double]]) -> [[Double]] { a[0].indices.map { j in a.map { $0[j] } } }

    private func rows(_ x: Tensor) -> [[Double]] {
        (0..<x.rowCount).map { row in (0..<x.columnCount).map { Double(x.data[row * x.columnCount + $0]) } }
    }

    private func difference(_ a: [[Double]], _ b: [[Double]]) -> Double {
        largestDifference(a.flatMap { $0 }, b.flatMap { $0 })
    }

    @Test("take orthonormal directions, in descending order of what they keep", arguments: shapes)
    func directions(m: Int, n: Int) {
        let gradient = Tensor(noise(m * n, seed: 3), shape: [m, n])
        for isLeft in [true, false] {
            for count in [1, 3, 100] {
                let vectors = leadingVectors(gradient, isLeft: isLeft, count: count, previous: nil)
                #expect(vectors.shape == [min(count, m, n), isLeft ? m : n])
                let v = rows(vectors)
                let identity = v.indices.map { i in v.indices.map { $0 == i ? 1.0 : 0 } }
                #expect(difference(product(v, transposed(v)), identity) < 1e-5)
                let kept = product(v, isLeft ? rows(gradient) : transposed(rows(gradient)))
                let sizes = kept.map { $0.reduce(0) { $0 + $1 * $1 }.squareRoot() }
                #expect(zip(sizes, sizes.dropFirst()).allSatisfy { $0 >= $1 - 1e-6 })
            }
        }
    }

    @Test("keep all of a gradient whose rank they have, from either side and from both", arguments: shapes)
    func exactness(m: Int, n: Int) {
        let rank = min(2, m, n)
        let (a, b) = (Tensor(noise(m * rank), shape: [m, rank]), Tensor(noise(rank * n, seed: 2), shape: [rank, n]))
        let exact = product(rows(a), rows(b))
        let gradient = Tensor(exact.flatMap { $0 }.map { Float($0) }, shape: [m, n])
        let left = leadingVectors(gradient, isLeft: true, count: rank, previous: nil)
        let right = leadingVectors(gradient, isLeft: false, count: rank, previous: nil)
        for projection in [
            GradientProjection(left: left, right: nil), GradientProjection(left: nil, right: right),
            GradientProjection(left: left, right: right),
        ] {
            let low = projection(gradient)
            #expect(low.shape == projection.shape(of: gradient))
            let target = Tensor(repeating: 1, [m, n])
            projection.add(low, to: target)
            #expect(difference(rows(target), exact.map { $0.map { $0 + 1 } }) < 1e-5)
        }
    }

    @Test("keep the directions that they had, whatever signs singular vectors come with")
    func signs() {
        let gradient = Tensor(noise(60, seed: 4), shape: [10, 6])
        for isLeft in [true, false] {
            let first = leadingVectors(gradient, isLeft: isLeft, count: 4, previous: nil)
            let turned = first.copy()
            let width = turned.columnCount
            for i in width..<2 * width { turned.data[i] *= -1 }
            #expect(leadingVectors(gradient, isLeft: isLeft, count: 4, previous: turned).values == turned.values)
        }
    }

    @Test("are numbers where a gradient is 0, or has fewer directions than are asked for")
    func deficient() {
        let single = Tensor(zeros: [6, 5])
        for i in 0..<6 {
            for j in 0..<5 { single.data[i * 5 + j] = Float(i + 1) * Float(j + 1) }
        }
        for gradient in [Tensor(zeros: [6, 5]), single] {
            for isLeft in [true, false] {
                let vectors = leadingVectors(gradient, isLeft: isLeft, count: 3, previous: nil)
                #expect(vectors.values.allSatisfy { $0.isFinite && $0.magnitude <= 1.0001 })
            }
        }
    }
}
