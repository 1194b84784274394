import Configuration
import Diagnostics
import JSONText

/// Messages about fields.
extension RecordFile {
    /// The names of the fields that record `index` has.
    func fieldNames(at index: Int) throws -> [String] {
        switch format {
        case .text: return ["text"]
        case .commas, .tabs: return columns
        case .json, .jsonLines:
            return try withExtendedLifetime(file) {
                var reader = JSONReader(extent(of: index), file: path)
                return try Self.nearest(try reader.readNode(), to: "?", prefix: "").names
            }
        }
    }

    func missing(_ name: String, _ value: FieldValue?, at index: Int) throws -> String {
        if value == .null { return "the field '\(name)' is null" }
        var names = columns
        var owner: String?
        switch format {
        case .text: names = ["text"]
        case .commas, .tabs: break
        case .json, .jsonLines:
            let found = try withExtendedLifetime(file) {
                var reader = JSONReader(extent(of: index), file: path)
                return try Self.nearest(try reader.readNode(), to: name[...], prefix: "")
            }
            (names, owner) = (found.names, found.owner)
        }
        return Self.message(missing: name, among: names, of: owner)
    }

    /// The names beside which the last part of `path` is missing, and what they belong to.
    private static func nearest(
        _ node: JSONNode, to path: Substring, prefix: String
    ) throws -> (names: [String], owner: String?) {
        let owner = prefix.isEmpty ? nil : String(prefix.dropLast())
        var members: [(key: String, value: JSONNode)] = []
        switch node.content {
        case .object(let all): members = all.map { ($0.key, $0.value) }
        case .array(let all): members = all.enumerated().map { ("\($0.offset)", $0.element) }
        default: break
        }
        let first = members.first { path.hasPrefix($0.key + ".") }
        guard let first else { return (members.map { prefix + $0.key }, owner) }
        return try nearest(
            first.value, to: path.dropFirst(first.key.count + 1), prefix: prefix + first.key + ".")
    }

    /// What there is instead of a field that is missing.
    static func message(missing name: String, among names: [String], of owner: String? = nil) -> String {
        var text = "no field '\(name)'"
        if name.utf8.count > 1, let near = suggestion(for: name, among: names) { text += "; did you mean '\(near)'?" }
        if names.isEmpty { return text + (owner.map { "; '\($0)' has no fields" } ?? "; there is none") }
        let most = 20
        let more = names.count > most ? " and \(names.count - most) more" : ""
        let list = names.prefix(most).joined(separator: ", ") + more
        return text + (text.hasSuffix("?") ? " There is \(list)" : "; there is \(list)")
    }

    /// That an array or an object stands where a text is needed, and what it has.
    func nestedValue(_ name: String, at index: Int) throws -> String {
        let text = "the field '\(name)' is an array or an object, which has no place in a template"
        let names = try withExtendedLifetime(file) {
            var reader = JSONReader(extent(of: index), file: path)
            return try Self.nearest(try reader.readNode(), to: (name + ".?")[...], prefix: "").names
        }
        guard let first = names.first else { return text }
        return text + "; one of its own has, as {\(first)}"
    }
}
