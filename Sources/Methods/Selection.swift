import Configuration
import Diagnostics
import Layers

/// What a method's settings choose in a model, whichever way they are written.
struct Selection {
    /// What each module gets, by its path and the setting that says so: `["r": "the rank 4"]`.
    var modules: [String: [Trait]] = [:]
    /// The modules that train as a whole.
    var saved: Set<String> = []
    /// The rows of embeddings that train on their own.
    var rows: [String: [Int]] = [:]

    struct Trait: Equatable {
        /// The settings that it comes from; the first that a run has is named.
        let keys: [String]
        /// As it follows "gives MODULE": `the rank 4`.
        let text: String
    }

    /// - Parameter modulesToSave: Entries that mean modules by their ends.
    init(_ modules: [String: [Trait]], modulesToSave: [String], in model: any AdaptableModel) {
        self.modules = modules
        saved = Set(
            model.modules.map(\.path).filter { path in modulesToSave.contains { TargetSelection.saves(path, $0) } })
    }

    /// The settings that choose modules.
    static let targetKeys = ["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"]

    /// What a run's settings choose otherwise than the adapter that it starts from does.
    func problems(against start: Selection, keys: [String] = targetKeys, _ section: ConfigSection) -> [Problem] {
        let (own, others) = (Set(modules.keys), Set(start.modules.keys))
        var problems: [Problem] = []
        func report(_ keys: [String], _ message: String) {
            let key = keys.first(where: section.has) ?? keys.first ?? "init_from"
            problems.append(section.problem(message + "; leave it out", at: key))
        }
        if own != others {
            report(
                keys,
                Self.difference(
                    own, others, more: "selects", fewer: "leaves out"))
        }
        if saved != start.saved {
            report(
                ["modules_to_save"],
                Self.difference(saved, start.saved, more: "trains", fewer: "leaves out"))
        }
        if rows != start.rows {
            let path = Set(rows.keys).union(start.rows.keys).sorted().first { rows[$0] != start.rows[$0] } ?? ""
            report(
                ["trainable_token_indices"],
                "names the rows \(rows[path] ?? []) of \(path), but the adapter that init_from names has "
                    + "\(start.rows[path] ?? [])")
        }
        for path in own.intersection(others).sorted() {
            let pairs = zip(modules[path] ?? [], start.modules[path] ?? [])
            guard let (mine, theirs) = pairs.first(where: { $0.text != $1.text }) else { continue }
            report(
                mine.keys,
                "gives \(path) \(mine.text), but the adapter that init_from names has \(theirs.text) there")
            break
        }
        return problems
    }

    private static func difference(_ own: Set<String>, _ others: Set<String>, more: String, fewer: String) -> String {
        let parts = [
            (more, own.subtracting(others), "hasn't"), (fewer, others.subtracting(own), "has"),
        ].compactMap { verb, paths, has in
            paths.isEmpty
                ? nil : "\(verb) \(summary(paths)), which the adapter that init_from names \(has)"
        }
        return parts.joined(separator: ", and ")
    }

    /// `transformer.h.0.attn.c_attn and 11 more`
    private static func summary(_ paths: Set<String>) -> String {
        let first = paths.min() ?? ""
        return paths.count > 1 ? "\(first) and \(paths.count - 1) more" : first
    }
}

extension Selection.Trait {
    static func rank(_ rank: Int, _ keys: String...) -> Self { Self(keys: keys, text: "the rank \(rank)") }
    static func alpha(_ alpha: Double, _ keys: String...) -> Self { Self(keys: keys, text: "the alpha \(alpha)") }
}

/// A method whose settings choose modules, so that two ways of writing them can be compared.
protocol SelectingMethod: PEFTMethod {
    var section: ConfigSection { get }

    /// The adapter that training starts from; none where it begins anew.
    var start: [Self] { get }

    /// - Throws: `Problems` where the settings don't fit the model.
    func selection(in model: any AdaptableModel) throws -> Selection
}

extension SelectingMethod {
    /// - Throws: `Problems` where the settings choose otherwise than the adapter that training starts from.
    func checkStart(_ model: any AdaptableModel, keys: [String] = Selection.targetKeys) throws {
        guard let start = start.first else { return }
        let problems = try selection(in: model).problems(against: start.selection(in: model), keys: keys, section)
        if !problems.isEmpty { throw Problems(problems) }
    }
}

extension ConfigSection {
    /// Records a setting that differs from that of the adapter that training starts from.
    func compare<Value: Equatable>(_ key: String, _ value: Value, with start: Value) {
        guard value != start else { return }
        record("is \(value), but \(start) in the adapter that init_from names; leave it out", at: key)
    }
}
