import Charts
import TestSupport
import Testing

@Suite("Smoothing") struct SmoothingTests {
    private func points(_ values: [Double]) -> [ChartPoint] {
        values.enumerated().map { ChartPoint(x: Double($0.offset), y: $0.element) }
    }

    @Test("takes means of what lies around, fewer at the ends")
    func means() {
        #expect(Smoothing.means(points([1, 2, 6, 3, 1]), window: 3).map(\.y) == [1.5, 3, 11.0 / 3, 10.0 / 3, 2])
        #expect(Smoothing.means(points([1, 2, 6, 3]), window: 2).map(\.y) == [1.5, 4, 4.5, 3])
        #expect(Smoothing.means(points([1, 2, 6]), window: 1).map(\.y) == [1, 2, 6])
        #expect(Smoothing.means(points([1, 2, 6]), window: 1000).map(\.y) == [3, 3, 3])
        #expect(Smoothing.means([], window: 3).isEmpty)
    }

    @Test("is the plain mean for every window and length")
    func definition() {
        for count in [1, 2, 5, 16, 17] {
            let values = noise(count, seed: UInt64(count), scale: 1).map(Double.init)
            for window in 1...(count + 3) {
                let found = Smoothing.means(points(values), window: window).map(\.y)
                for index in 0..<count {
                    let part = values[max(0, index - (window - 1) / 2)...min(count - 1, index + window / 2)]
                    let expected = part.reduce(0, +) / Double(part.count)
                    #expect((found[index] - expected).magnitude < 1e-12, "\(count) \(window) \(index)")
                }
            }
        }
    }

    @Test("leaves out what is no number, and a huge value reaches no further than its window")
    func gaps() {
        let found = Smoothing.means(points([1, .nan, 3, 1e30, 1, 2, 3]), window: 3).map(\.y)
        #expect(found[0] == 1 && found[1].isNaN && found[5] == 2 && found[6] == 2.5)
    }

    @Test("is asked for by noisy lines alone")
    func window() {
        let falling = (0..<100).map { 5 / Double($0 + 1) }
        #expect(Smoothing.window(for: points(falling)) == 1)
        let noisy = falling.enumerated().map { $0.element + ($0.offset % 2 == 0 ? 0.5 : -0.5) }
        #expect(Smoothing.window(for: points(noisy)) == 5)
        #expect(Smoothing.window(for: points(Array((0..<10).map { Double($0 % 2) }))) == 1)
        #expect(Smoothing.window(for: points((0..<1000).map { Double($0 % 2) })) == 41)
        #expect(Smoothing.window(for: points([Double](repeating: 3, count: 50))) == 1)
    }
}
