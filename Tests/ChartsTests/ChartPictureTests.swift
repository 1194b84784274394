import Charts
import Foundation
import FoundationXML
import Testing

@Suite("Pictures of charts") struct ChartPictureTests {
    /// The elements of a picture, which must be well-formed: names, attributes and texts.
    private final class Elements: NSObject, XMLParserDelegate {
        var all: [(name: String, attributes: [String: String], text: String)] = []
        private var open: [Int] = []

        func parser(
            _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
            attributes: [String: String]
        ) {
            open.append(all.count)
            all.append((name, attributes, ""))
        }

        func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
            open.removeLast()
        }

        func parser(_ parser: XMLParser, foundCharacters text: String) {
            if let last = open.last { all[last].text += text }
        }
    }

    private func elements(_ svg: String) throws -> Elements {
        let parser = XMLParser(data: Data(svg.utf8))
        let elements = Elements()
        parser.delegate = elements
        #expect(parser.parse(), "\(String(describing: parser.parserError)) in \(svg)")
        return elements
    }

    private func line(_ name: String, _ values: [Double], color: Int = 0) -> ChartLine {
        ChartLine(name, values.enumerated().map { ChartPoint(x: Double($0.offset), y: $0.element) }, color: color)
    }

    private func picture(_ lines: [ChartLine], secondTitle: String? = nil) -> String {
        ChartPicture(
            Chart(title: "Loss", x: .count, xTitle: "step", lines: lines, secondTitle: secondTitle), for: .file
        ).svg
    }

    @Test("put values where they belong")
    func positions() throws {
        let found = try elements(picture([line("a", [0, 5, 10])])).all
        let polyline = try #require(found.first { $0.name == "polyline" })
        let points = try #require(polyline.attributes["points"]).split(separator: " ").map { pair in
            pair.split(separator: ",").compactMap { Double($0) }
        }
        let ticks = found.filter { $0.name == "text" && $0.attributes["text-anchor"] == "middle" && $0.text != "step" }
        #expect(ticks.map(\.text) == ["0", "1", "2"])
        #expect(try ticks.map { try #require($0.attributes["x"].flatMap(Double.init)) } == points.map { $0[0] })
        // One row of names: the plot is 300 high, from 58 on.
        #expect(points.map { $0[1] } == [358, 208, 58])
        let grid = found.filter { $0.attributes["class"] == "grid" }
        #expect(grid.compactMap { $0.attributes["y1"].flatMap(Double.init) } == [358, 298, 238, 178, 118, 58])
        let labels = found.filter { $0.attributes["text-anchor"] == "end" }
        #expect(labels.map(\.text) == ["0", "2", "4", "6", "8", "10"])
    }

    @Test("are well-formed whatever names hold, and need nothing from elsewhere")
    func names() throws {
        let odd = "a<b>&\"c\"\u{1B}[31m\u{0}é\u{FFFF}"
        let svg = picture([line(odd, [1, 2])])
        let found = try elements(svg).all
        #expect(found.contains { $0.name == "text" && $0.text == "a<b>&\"c\"\\u001b[31m\\u0000é" })
        #expect(found[0].attributes["xmlns"] == nil || found[0].attributes["xmlns"] == "http://www.w3.org/2000/svg")
        #expect(svg.components(separatedBy: "http").count == 2)
        for word in ["<script", "@import", "url(", "href", "@font-face"] { #expect(!svg.contains(word)) }
        #expect(svg.contains("@media (prefers-color-scheme: dark)"))
    }

    @Test("leave a gap where a value can't be drawn, and show a single one as a dot")
    func gaps() throws {
        let found = try elements(picture([line("a", [1, 2, .nan, 3, .infinity, 2, 1])])).all
        #expect(found.count { $0.name == "polyline" } == 2)
        #expect(found.count { $0.name == "circle" } == 1)
        let single = try elements(picture([line("a", [2])])).all
        #expect(single.count { $0.name == "polyline" } == 0 && single.count { $0.name == "circle" } == 1)
        #expect(picture([line("a", [.nan])]) == "" && picture([]) == "")
    }

    @Test("keep the extremes of long lines, and no more points than are seen")
    func long() throws {
        var values = [Double](repeating: 1, count: 100_000)
        values[54_321] = 9
        values[77_777] = 0
        let svg = picture([line("a", values)])
        #expect(svg.utf8.count < 60_000)
        let polyline = try #require(try elements(svg).all.first { $0.name == "polyline" })
        let heights = try #require(polyline.attributes["points"]).split(separator: " ").compactMap {
            $0.split(separator: ",").last.flatMap { Double($0) }
        }
        #expect(heights.min() == 58 + 300 * 0.1 && heights.max() == 358)
    }

    @Test("have rows of names that don't reach into the plot")
    func legend() throws {
        let lines = (0..<14).map { line("a method with a long name \($0)", [1, 2], color: $0) }
        let found = try elements(picture(lines)).all
        let names = found.filter { $0.name == "text" && $0.text.hasPrefix("a method") }
        #expect(names.count == 14)
        let rows = try names.map { try #require($0.attributes["y"].flatMap(Double.init)) }
        let top = try #require(
            found.filter { $0.attributes["class"] == "grid" }.compactMap { $0.attributes["y1"].flatMap(Double.init) }
                .min())
        #expect(Set(rows).count > 3 && rows.allSatisfy { $0 < top })
        #expect(
            Set(
                found.filter { $0.name == "polyline" }.map {
                    "\($0.attributes["stroke"] ?? "") \($0.attributes["stroke-dasharray"] ?? "")"
                }
            ).count == 14)
        let wide = try names.map { name in
            try #require(name.attributes["x"].flatMap(Double.init)) + 7 * Double(name.text.count)
        }
        #expect(wide.allSatisfy { $0 <= 844 })
    }

    @Test("have a second axis for lines of another measure")
    func second() throws {
        var rate = line("rate", [2e-5, 1e-5, 0], color: 6)
        rate.isOnSecondAxis = true
        let found = try elements(picture([line("loss", [4, 2, 3]), rate], secondTitle: "learning rate")).all
        let second = found.filter { $0.attributes["class"] == "second" }
        #expect(second.map(\.text) == ["0", "1e-5", "2e-5", "learning rate"])
        let curves = found.filter { $0.name == "polyline" }.compactMap { $0.attributes["points"] }
        let last = curves.compactMap { $0.split(separator: ",").last }
        #expect(curves.count == 2 && last[1] == "358" && last[0] == "208")
    }
}
