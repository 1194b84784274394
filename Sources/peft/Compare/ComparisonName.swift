import Diagnostics

/// The names of what is compared, each of which is a folder in the comparison's own and a row of its table.
enum ComparisonName {
    /// What a file system takes, with room for what is put in front of or behind a name for a while.
    private static let longest = 200

    /// Throws a `Problem` where a name is no folder's, leads elsewhere, or is another's on some file systems.
    ///
    /// - Parameter isFileName: Whether the name is that of a configuration's file.
    static func check(_ name: String, among others: [String], isFileName: Bool) throws {
        let advice = isFileName ? "give the configuration's file another name" : "call it otherwise"
        func problem(_ message: String) -> Problem { Problem("\(message): \(advice)") }
        let shown = name.harmless
        let hasControls = shown != name || name.contains("\n") || name.contains("\t")
        if name.isEmpty { throw problem("a method of the comparison has an empty name, and its folder needs one") }
        if name.utf8.count > longest {
            throw problem(
                "the name '\(shown.prefix(40))…' has \(name.utf8.count) bytes, and a folder's at most \(longest)")
        }
        if name == "." || name == ".." || name.contains("/") || hasControls {
            throw problem("'\(shown)' can't be the name of a folder inside --output")
        }
        if name.hasPrefix(".") { throw problem("'\(shown)' would be a hidden folder") }
        if isBase(name) { throw problem("'\(shown)' is the row of the model as it is") }
        guard let other = others.first(where: { $0.lowercased() == name.lowercased() }) else { return }
        throw problem(
            other == name
                ? "two methods of the comparison are called '\(name)'"
                : "'\(other)' and '\(name)' differ by case alone, and not every file system tells them apart")
    }

    private static func isBase(_ name: String) -> Bool {
        let name = name.lowercased()
        return name == "base" || name.hasPrefix("base, ") && name.hasSuffix(" shots")
    }
}
