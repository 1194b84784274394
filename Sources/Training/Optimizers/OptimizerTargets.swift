import Configuration
import Diagnostics
import Layers
import Methods
import Patterns

/// The linear layers that `training.optim_target_modules` means, as transformers finds them, of those whose weights train.
struct OptimizerTargets {
    /// The layers by the numbers of the parameters that are their weights.
    let layers: [Int: Linear]

    private static let key = "optim_target_modules"

    /// - Throws: `Problems` for entries that mean no linear layer, and where no weight of those that are meant trains.
    init(_ context: OptimizerContext) throws {
        let linears = context.model.modules.compactMap { module -> Linear? in
            // A head that is the token embedding is no layer of its own to transformers either.
            guard case .linear(let linear) = module.kind,
                !(context.model.isHeadTied && module.path == context.model.outputLayerPath)
            else { return nil }
            return linear
        }
        let isMeant = try Self.matcher(context, linears.map(\.path))
        var numbers: [ObjectIdentifier: Int] = [:]
        for (index, parameter) in context.parameters.enumerated() where parameter.elements == nil {
            numbers[ObjectIdentifier(parameter.tensor)] = index
        }
        var layers: [Int: Linear] = [:]
        for linear in linears where isMeant(linear.path) {
            if let index = numbers[ObjectIdentifier(linear.weight.value)] { layers[index] = linear }
        }
        if layers.isEmpty {
            let name = context.settings.name
            throw Problems([
                context.section.problem(
                    "\(name) projects the gradients of linear layers' whole weights, and with method "
                        + "\(context.method) none of those that are meant here trains: it goes with full", at: Self.key)
            ])
        }
        self.layers = layers
    }

    private static func matcher(_ context: OptimizerContext, _ paths: [String]) throws -> (String) -> Bool {
        func problem(_ message: String) -> Problem { context.section.problem(message, at: key) }
        func pattern(_ source: String) throws -> Pattern {
            do {
                return try Pattern(source)
            } catch {
                throw Problems([problem("'\(source)' is no regular expression: \(error)")])
            }
        }
        var names: [String] = []
        for name in paths.compactMap({ $0.split(separator: ".").last.map(String.init) }) where !names.contains(name) {
            names.append(name)
        }
        let known = "the model has the linear layers \(names.joined(separator: ", "))"
        switch context.settings.targets {
        case nil, .allLinear: return { _ in true }
        case .expression(let source):
            let matches = try pattern(source).matchesWhole
            if !paths.contains(where: matches) {
                throw Problems([
                    problem(
                        "the regular expression '\(source)' matches no linear layer's whole path; the paths are like "
                            + "\(paths.first ?? ""), and \(known)")
                ])
            }
            return matches
        case .list(let entries):
            let tests = try entries.map { entry -> (String) -> Bool in
                if paths.contains(where: { $0.contains(entry) }) { return { $0.contains(entry) } }
                return try pattern(entry).matchesWhole
            }
            let dead = zip(entries, tests).filter { !paths.contains(where: $0.1) }.map { entry, _ in
                let near = suggestion(for: entry, among: names).map { "did you mean '\($0)'? " } ?? ""
                return problem("'\(entry)' matches no linear layer; \(near)\(known)")
            }
            if !dead.isEmpty { throw Problems(dead) }
            return { path in tests.contains { $0(path) } }
        }
    }
}
