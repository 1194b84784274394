import Tensors
import TestSupport
import Testing

struct OrthogonalityTests {
    @Test(
        "how far rows or columns are from orthonormal", arguments: [(1, 1), (3, 8), (5, 13)], [false, true])
    func matchesFormula(_ shape: (Int, Int), byColumns: Bool) {
        let (rank, width) = shape
        let m = Tensor(noise(rank * width), shape: byColumns ? [width, rank] : [rank, width])
        let found = deviation(
            of: { orthogonalityError($0[0], byColumns: byColumns) },
            from: { x in
                var sum = 0.0
                for a in 0..<rank {
                    for b in 0..<rank {
                        var entry = a == b ? -1.0 : 0
                        for j in 0..<width {
                            let left = x[0][byColumns ? j * rank + a : a * width + j]
                            let right = x[0][byColumns ? j * rank + b : b * width + j]
                            entry += left * right
                        }
                        sum += entry * entry
                    }
                }
                return [sum.squareRoot()]
            }, at: [m])
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-5)
    }

    @Test("is 0 for orthonormal rows and for none, without a slope")
    func zero() {
        let m = Tensor([0, 1, 1, 0], shape: [2, 2])
        m.track()
        let error = orthogonalityError(m, byColumns: false)
        error.backward()
        #expect(error.values == [0])
        #expect(m.gradient?.values == [0, 0, 0, 0])
        #expect(orthogonalityError(Tensor(zeros: [0, 4]), byColumns: false).values == [0])
    }

    @Test("tensors are summed with a factor") func sums() {
        let inputs = (0..<3).map { Tensor(noise(7, seed: UInt64($0 + 1)), shape: [7]) }
        let found = deviation(
            of: { weightedSum($0, factor: 0.3) },
            from: { x in (0..<7).map { i in x.reduce(0) { $0 + 0.3 * $1[i] } } }, at: inputs)
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-5)
    }
}
