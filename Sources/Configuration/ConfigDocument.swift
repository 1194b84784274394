public import Diagnostics
import Files
public import JSONText

/// A configuration as it is being read: what was asked for, what it said, and everything that is wrong with it.
///
/// Values are read through `root` and its sections, each with its default where it is read. `finish()` reports all
/// problems at once, those of keys that nobody asked for included. To be used on one thread.
public final class ConfigDocument {
    /// One key that was asked for.
    public struct AskedKey: Sendable, Hashable {
        /// The section's path, empty for the root.
        public var section: String
        public var key: String
        /// What the value must be, in words: `integer`, `one of linear, cosine`.
        public var type: String
        /// The default as YAML; nil where the key is required, or where its absence means something of its own.
        public var defaultText: String?
        public var isRequired: Bool

        /// The section's path and the key, joined by a point.
        public var path: String { section.isEmpty ? key : "\(section).\(key)" }
    }

    /// The path of the file, if it came from one.
    public let file: String?
    /// The whole, overrides applied.
    public let node: ConfigNode
    private let journal: ConfigJournal

    /// The outermost section.
    public let root: ConfigSection

    /// Every key asked for so far, in the order of asking, once each.
    public var askedKeys: [AskedKey] { journal.askedKeys }

    /// Starts on a tree.
    public init(node: ConfigNode, file: String? = nil) {
        self.node = node
        self.file = file
        journal = ConfigJournal()
        root = ConfigSection(path: "", node: node, place: node.place, journal: journal)
    }

    /// Starts on a JSON value.
    public convenience init(json: JSONNode) { self.init(node: ConfigNode(json), file: json.file) }

    /// Reads a YAML file and applies `overrides`, each `key.path=value`, the later ones last.
    ///
    /// Throws a `Problem` where the file is missing or not valid YAML, and where an override is malformed.
    public static func load(yamlFile path: String, overrides: [String] = []) throws -> ConfigDocument {
        let text = try FileBytes(path: path).withBytes { try utf8Text($0, file: path) }
        return try parse(yaml: text, file: path, overrides: overrides)
    }

    /// Reads a YAML text and applies `overrides`.
    public static func parse(yaml: String, file: String? = nil, overrides: [String] = []) throws -> ConfigDocument {
        var node = try ConfigNode.parse(yaml: yaml, file: file)
        for override in overrides { try node.apply(override: override) }
        return ConfigDocument(node: node, file: file)
    }

    /// Reads a JSON file.
    public static func load(jsonFile path: String) throws -> ConfigDocument {
        ConfigDocument(json: try JSONNode.load(path: path))
    }

    private static func utf8Text(_ bytes: UnsafeRawBufferPointer, file: String) throws -> String {
        let start = try textStart(of: bytes, file: file)
        if let text = String(validating: bytes[start...], as: UTF8.self) { return text }
        let broken = TextLines(bytes).first { String(validating: bytes[$0.range], as: UTF8.self) == nil }
        throw Problem("invalid UTF-8", file: file, position: TextPosition(line: broken?.number ?? 1, column: 1))
    }

    /// What was found doubtful so far, in the order of finding, once each.
    public var warnings: [Problem] {
        var seen: Set<Problem> = []
        return journal.warnings.filter { seen.insert($0).inserted }
    }

    /// Adds a problem to those that `finish()` throws.
    public func record(_ problem: Problem) { journal.problems.append(problem) }

    /// Throws all that was found wrong, in the order of the file, as `Problems`; unknown keys too unless they are to
    /// be let through.
    public func finish(allowingUnknownKeys: Bool = false) throws {
        let all = journal.allProblems(includingUnknownKeys: !allowingUnknownKeys)
        if !all.isEmpty { throw Problems(all) }
    }

    /// All that was read, defaults included, as YAML that reads back to the same values.
    public func resolvedYAML() -> String { journal.resolved.yaml() }
}
