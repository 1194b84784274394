import Charts
import Testing

@Suite("Charts in a terminal") struct TerminalChartTests {
    private func chart(_ values: [Double], color: Int = 0) -> Chart {
        Chart(
            title: "", x: .count, xTitle: "step",
            lines: [
                ChartLine("", values.enumerated().map { ChartPoint(x: Double($0.offset), y: $0.element) }, color: color)
            ])
    }

    @Test("draw lines of dots between axes")
    func line() {
        #expect(
            TerminalChart(chart([0, 1, 2, 3, 4]), width: 20, height: 4).texts == [
                "4 ┤             ⣀⠤⠒⠉", "2 ┤         ⣀⠤⠒⠉", "  │   ⢀⣀⠤⠔⠒⠉", "0 ┤⡠⠔⠊⠁", "   0       2    step",
            ])
    }

    @Test("are as wide as there is room, and nothing where there is none")
    func widths() {
        for width in 13...200 {
            let rows = TerminalChart(chart([5.25, 4, 3, 5, 1]), width: width, height: 6).texts
            #expect(rows.count == 7 && rows.allSatisfy { $0.count <= width }, "\(width): \(rows)")
        }
        #expect(TerminalChart(chart([1, 2]), width: 9, height: 6).texts.isEmpty)
        #expect(TerminalChart(chart([1, 2]), width: -3, height: 6).texts.isEmpty)
        #expect(TerminalChart(chart([.nan]), width: 40, height: 6).texts.isEmpty)
        #expect(TerminalChart(chart([]), width: 40, height: 6).texts.isEmpty)
    }

    @Test("tell lines apart by colours, or by letters")
    func several() {
        var both = chart([0, 0, 0])
        both.lines += chart([2, 2, 2], color: 1).lines
        let colored = TerminalChart(both, width: 14, height: 2).rows
        #expect(colored.map { $0.compactMap(\.color) } == [[1], [0], []])
        #expect(
            TerminalChart(both, width: 14, height: 2, lettered: true).texts == [
                "2 ┤bbbbbbbbbbb", "0 ┤aaaaaaaaaaa", "   0    1 step",
            ])
    }
}
