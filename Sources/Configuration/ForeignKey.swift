import Diagnostics

/// A key that other tools' configurations have and this one hasn't, and what it means here.
public struct ForeignKey: Sendable, Hashable {
    public enum Meaning: Sendable, Hashable {
        /// Another name for the key of that path.
        case same(as: String)
        /// Accepted with a note: whatever it says changes nothing here, because …
        case nothing(String)
        /// An error that says what to do instead, except for values that ask for what is the case here anyhow.
        case answer(String, harmless: [String])
    }

    /// The section's path, empty for the root.
    public let section: String
    /// The key; with `*` at its end all keys that begin so.
    public let key: String
    public let meaning: Meaning

    public init(_ section: String, _ key: String, _ meaning: Meaning) {
        self.section = section
        self.key = key
        self.meaning = meaning
    }

    /// The section's path and the key, joined by a point.
    public var path: String { section.isEmpty ? key : "\(section).\(key)" }

    public func matches(_ name: String) -> Bool {
        key.hasSuffix("*") ? name.hasPrefix(key.dropLast()) : name == key
    }
}

extension ConfigSection {
    /// Puts the keys of other tools that stand in this section and those below it under their own names here, warns of
    /// those that change nothing, and records a problem with what to do instead for the others. To be called before any
    /// key is read; whatever the code reads itself must not be among `keys`.
    public func translate(_ keys: [ForeignKey]) {
        var moved: [Moved] = []
        let sections = Set(keys.map(\.section)).sorted()
        for section in sections {
            let own = keys.filter { $0.section == section }
            if section.isEmpty {
                for entry in entries where own.contains(where: { $0.matches(entry.key) }) {
                    journal.read(entry.key, of: path)
                }
                entries = left(of: entries, own, in: section, &moved)
            } else if let index = entries.lastIndex(where: { $0.key == section }),
                case .mapping(let children) = entries[index].value.content
            {
                entries[index].value.content = .mapping(left(of: children, own, in: section, &moved))
            }
        }
        for move in moved { put(move) }
    }

    /// The entries that aren't foreign; `moved` takes those that have another name here.
    private func left(
        of entries: [ConfigNode.Entry], _ keys: [ForeignKey], in section: String,
        _ moved: inout [Moved]
    ) -> [ConfigNode.Entry] {
        entries.filter { entry in
            guard let key = keys.first(where: { $0.matches(entry.key) }) else { return true }
            let path = section.isEmpty ? entry.key : "\(section).\(entry.key)"
            if entry.value.isNull { return false }
            switch key.meaning {
            case .same(let target):
                moved.append(Moved(from: path, target: target.split(separator: ".").map(String.init), entry: entry))
            case .nothing(let reason):
                // What is off asks for nothing.
                if entry.value.isOne(of: ["false", "none", "0", "no"]) { return false }
                var note = entry.keyPlace.problem("changes nothing: \(reason)", key: path)
                note.severity = .warning
                journal.warnings.append(note)
            case .answer(let text, let harmless):
                if !entry.value.isOne(of: harmless) {
                    journal.problems.append(entry.value.place.problem(text, key: path))
                }
            }
            return false
        }
    }

    private func put(_ move: Moved) {
        let (entry, target) = (move.entry, move.target)
        func add(to entries: inout [ConfigNode.Entry], _ path: ArraySlice<String>) {
            guard let key = path.first else { return }
            let index = entries.lastIndex { $0.key == key }
            if path.count > 1 {
                var children: [ConfigNode.Entry] = []
                switch index.map({ entries[$0].value.content }) {
                case .mapping(let existing)?: children = existing
                case .null?, nil: break
                // Whoever opens the section says that it is none.
                default: return
                }
                add(to: &children, path.dropFirst())
                if let index {
                    entries[index].value.content = .mapping(children)
                } else {
                    entries.append(
                        .init(
                            key: key, keyPlace: entry.keyPlace,
                            value: ConfigNode(.mapping(children), place: entry.keyPlace)))
                }
            } else if let index, !entries[index].value.isNull {
                journal.problems.append(
                    entry.keyPlace.problem(
                        "is another name for \(target.joined(separator: ".")), which is given too: leave one of them out",
                        key: move.from))
            } else {
                entries.append(.init(key: key, keyPlace: entry.keyPlace, value: entry.value))
            }
        }
        add(to: &entries, target[...])
    }
}

/// An entry on its way to its name here.
private struct Moved {
    let from: String
    let target: [String]
    let entry: ConfigNode.Entry
}

extension ConfigNode {
    /// Whether this is one of some words, an empty list or an empty mapping, where one of them may be.
    fileprivate func isOne(of words: [String]) -> Bool {
        switch content {
        case .null: return true
        case .scalar(let text, _):
            let word = text.lowercased()
            return words.contains(word) || boolean(text).map { words.contains("\($0)") } ?? false
        case .list(let nodes):
            return nodes.isEmpty && !words.isEmpty || !nodes.isEmpty && nodes.allSatisfy { $0.isOne(of: words) }
        case .mapping(let entries): return entries.isEmpty && !words.isEmpty
        }
    }
}
