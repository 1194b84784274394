public import Diagnostics

/// A mapping of a configuration, read key by key with the default where it is read.
///
/// A value of the wrong type or out of range is recorded as a problem of the document, and the default is returned, so
/// that reading goes on and all problems are reported together.
public final class ConfigSection {
    /// The keys that lead here, joined by points; empty for the root.
    public let path: String
    let journal: ConfigJournal
    var entries: [ConfigNode.Entry]
    private let place: ConfigNode.Place

    /// Opens the section that `node` is; `place` is where it would stand if it is absent.
    init(path: String, node: ConfigNode?, place: ConfigNode.Place, journal: ConfigJournal) {
        self.path = path
        self.journal = journal
        self.place = node?.place ?? place
        switch node?.content {
        case .mapping(let entries): self.entries = entries
        case .null, nil: entries = []
        default:
            entries = []
            let message = "expected keys with values, got \(node?.summary ?? "nothing")"
            journal.problems.append(self.place.problem(message, key: path.isEmpty ? nil : path))
        }
        journal.open(path, entries)
    }

    /// The keys that are written here, in their order.
    public var keys: [String] { entries.map(\.key) }

    /// Whether `key` has a value other than null; it doesn't count as read.
    public func has(_ key: String) -> Bool { entry(key).map { !$0.value.isNull } ?? false }

    /// Whether the value of `key` is a mapping; it doesn't count as read.
    public func isSection(_ key: String) -> Bool {
        if case .mapping? = entry(key)?.value.content { return true }
        return false
    }

    /// Records a problem at the value of `key`, or at the section where it is absent.
    public func record(_ message: String, at key: String) {
        journal.problems.append((entry(key)?.value.place ?? place).problem(message, key: fullPath(key)))
    }

    /// Records a problem at `key` where it has a value, for a key that has no place here although it has elsewhere.
    public func refuse(_ key: String, _ message: String) {
        guard has(key) else { return }
        journal.read(key, of: path)
        record(message, at: key)
    }

    /// Tells of something at the value of `key` that stops nothing.
    public func warn(_ message: String, at key: String) {
        var warning = problem(message, at: key)
        warning.severity = .warning
        journal.warnings.append(warning)
    }

    /// The file that the value of `key` stands in; nil where it has none, as on a command line.
    public func file(of key: String) -> String? {
        if case .file(let file, _)? = entry(key)?.value.place { return file }
        return nil
    }

    /// Lets the resolved configuration have `text` at `key`, as another spelling of what was read there.
    public func rewrite(_ key: String, _ text: String) { resolve(key, .string(text)) }

    /// Takes everything here as known, for a command that needs only some of it.
    public func ignoreUnread() { journal.ignoreUnread(of: path) }

    /// The section `key`; empty where it is absent.
    public func section(_ key: String) -> ConfigSection {
        journal.read(key, of: path)
        return ConfigSection(path: fullPath(key), node: entry(key)?.value, place: place, journal: journal)
    }

    /// The value of `key` as it stands, all that is below it taken as read; nil where it is absent or null.
    public func node(_ key: String) -> ConfigNode? {
        note(key, type: "anything", default: nil)
        guard let node = value(key) else { return nil }
        resolve(key, ConfigValue(node))
        return node
    }

    func fullPath(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    private func entry(_ key: String) -> ConfigNode.Entry? { entries.last { $0.key == key } }

    /// The value of `key`, or nil where it is absent or null.
    func value(_ key: String) -> ConfigNode? {
        guard let node = entry(key)?.value, !node.isNull else { return nil }
        return node
    }

    func note(_ key: String, type: String, default value: ConfigValue?, isRequired: Bool = false) {
        journal.read(key, of: path)
        journal.asked(
            ConfigDocument.AskedKey(
                section: path, key: key, type: type, defaultText: value.map { $0.flow() }, isRequired: isRequired))
    }

    func resolve(_ key: String, _ value: ConfigValue) { journal.resolve(key, of: path, to: value) }
}

extension ConfigSection {
    /// A problem at the value of `key`, or at the section where it is absent, for what shows only after reading.
    public func problem(_ message: String, at key: String) -> Problem {
        (entry(key)?.value.place ?? place).problem(message, key: fullPath(key))
    }

    /// Throws what is wrong with the document so far, unknown keys not counted.
    public func throwProblems() throws(Problems) {
        if !journal.problems.isEmpty { throw Problems(journal.problems) }
    }
}
