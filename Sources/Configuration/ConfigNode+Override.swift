import Diagnostics

extension ConfigNode {
    /// Applies `key.path=value`, whose value is read as YAML. Throws a `Problem` where it isn't of that form, or leads
    /// through something that holds no keys.
    mutating func apply(override text: String) throws {
        let option = "--set \(text)"
        guard let equals = text.utf8.firstIndex(of: UInt8(ascii: "=")) else {
            throw Problem("expected KEY=VALUE, such as --set peft.r=16", file: option, exitStatus: .usage)
        }
        let keys = text[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if keys.contains("") {
            throw Problem("expected a key in front of '=', such as --set peft.r=16", file: option, exitStatus: .usage)
        }
        let valueText = String(text[text.utf8.index(after: equals)...])
        let place = Place.override(option: option, text: valueText)
        try set(keys[...], to: ConfigNode.parse(override: valueText, place: place), place: place, path: [])
    }

    private mutating func set(
        _ keys: ArraySlice<String>, to value: ConfigNode, place: Place, path: [String]
    ) throws {
        guard let key = keys.first else {
            self = value
            return
        }
        var entries: [Entry]
        switch content {
        case .mapping(let existing): entries = existing
        case .null: entries = []
        default:
            throw place.problem("is \(summary), which holds no keys", key: path.joined(separator: "."))
        }
        let index = entries.firstIndex { $0.key == key }
        var child = index.map { entries[$0].value } ?? ConfigNode(.null, place: place)
        try child.set(keys.dropFirst(), to: value, place: place, path: path + [key])
        if let index {
            entries[index].value = child
        } else {
            entries.append(Entry(key: key, keyPlace: place, value: child))
        }
        content = .mapping(entries)
    }
}
