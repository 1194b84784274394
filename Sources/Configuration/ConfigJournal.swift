import Diagnostics

/// What the reading of one configuration leaves behind: keys asked for, values taken, problems.
final class ConfigJournal {
    /// A section that was opened, as written.
    private struct Opened {
        var path: String
        var entries: [ConfigNode.Entry]
    }

    var problems: [Problem] = []
    var warnings: [Problem] = []
    private(set) var askedKeys: [ConfigDocument.AskedKey] = []
    private(set) var resolved = ConfigValue.mapping([])
    private var askedPaths: Set<String> = []
    private var opened: [Opened] = []
    /// The keys read of each section, sub-sections included, by the section's path.
    private var known: [String: Set<String>] = [:]
    private var ignored: Set<String> = []

    func open(_ path: String, _ entries: [ConfigNode.Entry]) { opened.append(Opened(path: path, entries: entries)) }

    func read(_ key: String, of path: String) { known[path, default: []].insert(key) }

    func ignoreUnread(of path: String) { ignored.insert(path) }

    func asked(_ key: ConfigDocument.AskedKey) {
        if askedPaths.insert(key.path).inserted { askedKeys.append(key) }
    }

    func resolve(_ key: String, of path: String, to value: ConfigValue) {
        let sections = path.isEmpty ? [] : path.split(separator: ".").map(String.init)
        resolved.set((sections + [key])[...], to: value)
    }

    /// Each problem once, in the order of the file; those of the command line come last.
    func allProblems(includingUnknownKeys: Bool) -> [Problem] {
        var seen: Set<Problem> = []
        let all = (problems + (includingUnknownKeys ? unknownKeys() : [])).filter { seen.insert($0).inserted }
        let order = all.enumerated().sorted { a, b in
            let (p, q) = (a.element.position, b.element.position)
            return (p?.line ?? .max, p?.column ?? .max, a.offset) < (q?.line ?? .max, q?.column ?? .max, b.offset)
        }
        return order.map(\.element)
    }

    private func unknownKeys() -> [Problem] {
        var problems: [Problem] = []
        for section in opened where !ignored.contains(section.path) {
            let known = known[section.path, default: []]
            for entry in section.entries where !known.contains(entry.key) {
                let path = section.path.isEmpty ? entry.key : "\(section.path).\(entry.key)"
                problems.append(entry.keyPlace.problem(unknown(entry.key, among: known.sorted()), key: path))
            }
        }
        return problems
    }

    private func unknown(_ key: String, among known: [String]) -> String {
        if let near = suggestion(for: key, among: known) { return "unknown key; did you mean '\(near)'?" }
        if let other = askedKeys.first(where: { $0.key == key }) {
            return "unknown key; did you mean '\(other.path)'?"
        }
        return known.isEmpty ? "unknown key" : "unknown key; known here: \(known.joined(separator: ", "))"
    }
}
