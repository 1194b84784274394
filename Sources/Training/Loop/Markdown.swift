import Configuration

/// Markdown in which any text stays what it is.
enum Markdown {
    /// Text as a code span, also in a table's cell.
    static func code(_ text: String) -> String {
        let text = text.replacing("\n", with: " ").replacing("|", with: "\\|")
        let fence = String(repeating: "`", count: longestRun(of: "`", in: text) + 1)
        let padding = text.hasPrefix("`") || text.hasSuffix("`") ? " " : ""
        return text.isEmpty ? "" : fence + padding + text + padding + fence
    }

    static func table(_ titles: [String], _ rows: [[String]]) -> [String] {
        ([titles, titles.map { _ in "---" }] + rows).map { "| " + $0.joined(separator: " | ") + " |" }
    }

    /// Lines as a block of code with an empty line behind it.
    static func block(_ lines: [String], _ language: String) -> [String] {
        let fence = String(repeating: "`", count: max(3, lines.map { longestRun(of: "`", in: $0) + 1 }.max() ?? 3))
        return [fence + language] + lines + [fence, ""]
    }

    /// Text as a value of the front matter.
    static func yaml(_ text: String) -> String { ConfigValue.string(text).flow() }

    private static func longestRun(of character: Character, in text: String) -> Int {
        var (longest, current) = (0, 0)
        for other in text {
            current = other == character ? current + 1 : 0
            longest = max(longest, current)
        }
        return longest
    }
}
