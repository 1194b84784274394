import Charts
import Testing

@Suite("Axes") struct ChartAxisTests {
    private func labels(
        _ kind: ChartAxis.Kind, _ values: [Double], ticks: Int = 5, isRounded: Bool = true
    ) -> [String] {
        ChartAxis(kind, values, ticks: ticks, isRounded: isRounded)?.ticks.map(\.label) ?? []
    }

    @Test("have ticks at round numbers, which enclose the values")
    func round() throws {
        #expect(labels(.number, [1.2, 4.1]) == ["1", "2", "3", "4", "5"])
        #expect(
            labels(.number, [0.03, 0.97]) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"].map { $0 == "0.0" ? "0" : $0 })
        #expect(labels(.number, [5.507, 5.725]) == ["5.50", "5.55", "5.60", "5.65", "5.70", "5.75"])
        #expect(labels(.number, [-2, 3]) == ["-2", "-1", "0", "1", "2", "3"])
        #expect(labels(.number, [1, 2]) == ["1.0", "1.2", "1.4", "1.6", "1.8", "2.0"])
        let axis = try #require(ChartAxis(.number, [1.2, 4.1], ticks: 5))
        #expect(axis.low == 1 && axis.high == 5 && !axis.isLogarithmic)
        #expect(axis.position(1) == 0 && axis.position(3) == 0.5 && axis.position(5) == 1)
    }

    @Test("show small and large numbers by their powers of ten")
    func powers() {
        #expect(labels(.number, [0, 2e-5]) == ["0", "5e-6", "1e-5", "1.5e-5", "2e-5"])
        #expect(labels(.number, [1e6, 3e6]) == ["1e6", "1.5e6", "2e6", "2.5e6", "3e6"])
    }

    @Test("count in whole numbers")
    func counts() {
        #expect(labels(.count, [0, 3], isRounded: false) == ["0", "1", "2", "3"])
        #expect(labels(.count, [0, 1], isRounded: false) == ["0", "1"])
        #expect(labels(.count, [0, 750], isRounded: false) == ["0", "200", "400", "600"])
        #expect(labels(.count, [0, 20_000], isRounded: false) == ["0", "5,000", "10,000", "15,000", "20,000"])
        #expect(labels(.count, [0, 950_574], isRounded: false) == ["0", "200k", "400k", "600k", "800k"])
        #expect(labels(.count, [0, 2e9], isRounded: false) == ["0", "500M", "1G", "1.5G", "2G"])
    }

    @Test("count time in seconds, minutes, hours and days")
    func times() {
        #expect(labels(.seconds, [0, 0.4], isRounded: false) == ["0", "0.1 s", "0.2 s", "0.3 s", "0.4 s"])
        #expect(labels(.seconds, [0, 60], isRounded: false) == ["0", "15 s", "30 s", "45 s", "1 min"])
        #expect(labels(.seconds, [0, 204], isRounded: false) == ["0", "1 min", "2 min", "3 min"])
        #expect(labels(.seconds, [0, 7200], isRounded: false) == ["0", "30 min", "1 h", "1:30 h", "2 h"])
        #expect(labels(.seconds, [0, 200_000], isRounded: false) == ["0", "12 h", "1 d", "1.5 d", "2 d"])
    }

    @Test("have room around a single value")
    func single() throws {
        let axis = try #require(ChartAxis(.number, [2, 2], ticks: 4))
        #expect(axis.low < 2 && axis.high > 2 && (axis.position(2) - 0.5).magnitude < 1e-9)
        #expect(ChartAxis(.number, [0], ticks: 4)?.ticks.isEmpty == false)
        #expect(ChartAxis(.number, [], ticks: 4) == nil)
    }

    @Test("are logarithmic where one value would hide all others")
    func logarithmic() throws {
        let axis = try #require(ChartAxis(.number, [3, 2.5, 2, 40_000], ticks: 5))
        #expect(axis.isLogarithmic && axis.low == 1 && axis.high == 1e5)
        #expect(axis.ticks.map(\.label) == ["1", "10", "100", "1000", "10000", "100000"])
        #expect((axis.position(1000) - 0.6).magnitude < 1e-12)
        // A learning rate that falls to almost nothing is seen well enough.
        let rates = (1...100).map { Double($0) * 1e-5 } + [1e-9]
        #expect(ChartAxis(.number, rates, ticks: 5)?.isLogarithmic == false)
    }

    @Test("hold any numbers")
    func extremes() throws {
        for values in [
            [-1e299, 1e299], [1e-300, 2e-300], [0, .leastNonzeroMagnitude], [1e15, 1e15 + 1], [1e17, 1e17 + 16],
            [7e299, 7e299], [-1e-9, 1e-9], [3.0, 3.0000000001], [1e-10, 1e-10, 1e299], [1e-300, 1e-300, 1e299],
            [.leastNonzeroMagnitude, .leastNonzeroMagnitude, 1],
        ] {
            let axis = try #require(ChartAxis(.number, values, ticks: 6), "\(values)")
            #expect(axis.ticks.count < 40, "\(values)")
            for value in values { #expect((-1e-6...1.000001).contains(axis.position(value)), "\(values) \(axis)") }
        }
    }
}
