public import Configuration
import Glibc

extension Template {
    /// The template that a configuration has at `key`; nil where it has none.
    ///
    /// A doubtful one is warned of. Throws a `Problem` without a place where it isn't well formed.
    public init?(_ section: ConfigSection, _ key: String) throws {
        guard let text = section.optionalString(key) else { return nil }
        let template = try Template(text)
        // A run's own copy has line breaks as they are, so that there an escape is from before templates had any.
        let isOld = template.source != text && section.file(of: key).map(Self.isRunsOwn) == true
        if isOld {
            section.warn(
                "a backslash and n (or t) are two characters here, as they were when this run was made; in other "
                    + "configurations they are a line break (or a tab)", at: key)
        } else if template.holdsBackslashAndN {
            section.warn(
                "has a backslash and n as two characters, because the backslash is doubled; \\n alone is a line break",
                at: key)
        }
        self = isOld ? try Template(text, readsEscapes: false) : template
        section.rewrite(key, source)
    }

    /// Whether a file is what a run wrote down of itself, beside its other files.
    private static func isRunsOwn(_ file: String) -> Bool {
        let parts = file.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.last == "training_config.yaml" else { return false }
        let others = ["metrics.jsonl", "training_state.json", "adapter_config.json"]
        return others.contains { name in access((parts.dropLast() + [name[...]]).joined(separator: "/"), F_OK) == 0 }
    }
}
