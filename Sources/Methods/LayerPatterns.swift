import Configuration
import Diagnostics
import Layers
import Patterns

extension LoRASettings {
    /// A value of its own for some modules: a regular expression for the end of a path, or the whole of it.
    struct Pattern<Value: Equatable>: Equatable {
        let expression: String
        let value: Value
        /// nil for what is no expression, which is said where it was read.
        private let compiled: Patterns.Pattern?

        init(expression: String, value: Value) {
            (self.expression, self.value) = (expression, value)
            compiled = try? Patterns.Pattern(pathEnding: expression)
        }

        func matches(_ path: String) -> Bool { compiled?.matchesBeginning(of: path) ?? false }

        fileprivate var size: Int { compiled?.size ?? 0 }
    }
}

extension [LoRASettings.Pattern<Int>] {
    /// The value of the first that fits; nil where none does.
    func value(for path: String) -> Int? { first { $0.matches(path) }?.value }
}

extension [LoRASettings.Pattern<Double>] {
    /// The value of the first that fits; nil where none does.
    func value(for path: String) -> Double? { first { $0.matches(path) }?.value }
}

extension ConfigSection {
    /// peft's `rank_pattern`; what is wrong with it is recorded.
    func rankPattern(_ key: String) -> [LoRASettings.Pattern<Int>] {
        let section = section(key)
        return checked(section.keys.map { .init(expression: $0, value: section.requiredInt($0, in: 1...)) }, section)
    }

    /// peft's `alpha_pattern`; what is wrong with it is recorded.
    func alphaPattern(_ key: String) -> [LoRASettings.Pattern<Double>] {
        let section = section(key)
        return checked(section.keys.map { .init(expression: $0, value: section.requiredDouble($0)) }, section)
    }

    /// The steps of all expressions of a list together, that it doesn't take minutes to match them.
    private static var sizeLimit: Int { 100_000 }

    private func checked<Value>(
        _ patterns: [LoRASettings.Pattern<Value>], _ section: ConfigSection
    ) -> [LoRASettings.Pattern<Value>] {
        var size = 0
        for pattern in patterns {
            do {
                size += try Patterns.Pattern(pathEnding: pattern.expression).size
            } catch {
                section.record("is no regular expression: \(error)", at: pattern.expression)
            }
            if size > Self.sizeLimit {
                section.record(
                    "together with those before it the expression is larger than is supported", at: pattern.expression)
                break
            }
        }
        return patterns
    }

    /// Whether a run's configuration asks for `key` itself, so that each of its entries must mean something; peft loads
    /// files whose entries don't.
    func asksFor(_ key: String) -> Bool { !isAdapterFile && has(key) }

    /// What is wrong with the entries of a `rank_pattern` or `alpha_pattern` of a run: those that match none of `paths`, or
    /// only ones that an entry before them takes.
    func deadPatterns<Value>(
        _ patterns: [LoRASettings.Pattern<Value>], at key: String, among paths: [String]
    ) -> [Problem] {
        guard asksFor(key) else { return [] }
        let section = section(key)
        return patterns.indices.compactMap { index in
            let (pattern, earlier) = (patterns[index], patterns[..<index])
            let matched = paths.filter(pattern.matches)
            if matched.isEmpty {
                let names = lastSegments(of: paths)
                return section.problem(
                    "matches no module that gets an adapter; \(guess(pattern.expression, names))"
                        + "the paths are like \(paths.first ?? "none"), and end in \(names.joined(separator: ", "))",
                    at: pattern.expression)
            }
            guard matched.allSatisfy({ path in earlier.contains { $0.matches(path) } }) else { return nil }
            let first = earlier.first { $0.matches(matched[0]) }
            return section.problem(
                "never counts: '\(first?.expression ?? "")' stands before it and matches the same modules, and the first "
                    + "that fits counts", at: pattern.expression)
        }
    }
}

/// The last segments of paths, each once.
func lastSegments(of paths: [String]) -> [String] {
    var names: [String] = []
    for path in paths {
        guard let name = path.split(separator: ".").last.map(String.init), !names.contains(name) else { continue }
        names.append(name)
    }
    return names
}

/// `did you mean 'c_attn'? ` for a slip of one of the names, otherwise nothing.
func guess(_ word: String, _ names: [String]) -> String {
    let candidates = names.filter { $0 != word } + lastSegments(of: names)
    return suggestion(for: word, among: candidates).map { "did you mean '\($0)'? " } ?? ""
}
