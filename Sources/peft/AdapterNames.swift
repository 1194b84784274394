import Diagnostics
import Files

/// Adapters that records choose among: `NAME=DIR`.
struct AdapterNames {
    /// In the order of the options; empty where they have no names.
    let names: [String]
    let paths: [String]

    /// - Throws: `Problem` where some have names and others don't, or two have the same.
    init(_ options: [String]) throws {
        let parts = options.map(Self.parts)
        paths = parts.map(\.path)
        names = parts.compactMap(\.name)
        if names.isEmpty { return }
        if let other = parts.first(where: { $0.name == nil }) {
            throw Problem(
                "--adapter: '\(names[0])' has a name, and '\(other.path)' has none: give all as NAME=DIR, so that records "
                    + "can choose, or none", exitStatus: .usage)
        }
        if let index = names.indices.first(where: { names[..<$0].contains(names[$0]) }) {
            throw Problem("--adapter: the name '\(names[index])' stands for two adapters", exitStatus: .usage)
        }
    }

    /// A folder's path may have the sign too.
    private static func parts(_ text: String) -> (name: String?, path: String) {
        guard !FileSystem.exists(text), let sign = text.firstIndex(of: "=") else { return (nil, text) }
        let name = text[..<sign]
        let isName = !name.isEmpty && name.allSatisfy { $0.isLetter || $0.isNumber || "_-.".contains($0) }
        return isName ? (String(name), String(text[text.index(after: sign)...])) : (nil, text)
    }
}
