import Configuration
import Diagnostics

/// Runs that differ in some values of one configuration, as a YAML file names them: the section `peft` of a variant
/// stands for the whole of the configuration's, other sections replace key by key.
public enum RunVariants {
    /// The names of the file's variants in their order, each with what it replaces, as for `--set`.
    ///
    /// - Throws: `Problem` or `Problems` for a file that is missing, broken or empty.
    public static func load(_ path: String) throws -> [(name: String, overrides: [String])] {
        let root = try ConfigDocument.load(yamlFile: path).root
        let variants = root.keys.map { name in
            let variant = root.section(name)
            return (name: name, overrides: variant.keys.flatMap { overrides($0, variant) })
        }
        try root.throwProblems()
        if variants.isEmpty { throw Problem("names no variants", file: path) }
        return variants
    }

    private static func overrides(_ key: String, _ variant: ConfigSection) -> [String] {
        guard let node = variant.node(key) else { return [] }
        guard key != "peft", case .mapping(let entries) = node.content else {
            return ["\(key)=\(ConfigValue(node).flow())"]
        }
        return entries.map { "\(key).\($0.key)=\(ConfigValue($0.value).flow())" }
    }
}
