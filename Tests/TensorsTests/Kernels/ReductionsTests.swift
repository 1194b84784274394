import Tensors
import TestSupport
import Testing

struct ReductionsTests {
    @Test("sums of squares are exact to double precision", arguments: [0, 1, 15, 16, 17, 50_001])
    func sums(count: Int) {
        let x = Tensor(noise(count), shape: [count])
        let expected = x.values.reduce(0.0) { $0 + Double($1) * Double($1) }
        #expect((sumOfSquares(x) - expected).magnitude <= 1e-13 * expected)
    }

    @Test("they are finite exactly where all elements are", arguments: [0, 7, 20, 40_000])
    func finiteness(place: Int) {
        var values = noise(40_001)
        values[place] = .greatestFiniteMagnitude
        #expect(sumOfSquares(Tensor(values, shape: [40_001])).isFinite)
        for value in [Float.infinity, -.infinity, .nan] {
            values[place] = value
            #expect(!sumOfSquares(Tensor(values, shape: [40_001])).isFinite)
        }
    }

    @Test("scaling multiplies every element", arguments: [1, 9, 20_000])
    func scaling(count: Int) {
        let x = Tensor(noise(count), shape: [count])
        let expected = x.values.map { $0 * 0.3 }
        scaleInPlace(x, by: 0.3)
        #expect(x.values == expected)
    }
}
