import Configuration
import Diagnostics
import Layers
import Patterns

/// Which modules a method works on, in the words of peft's configuration.
struct TargetSelection: Equatable {
    enum Modules: Equatable {
        /// A module is meant where its path is the entry or ends with a dot and the entry.
        case list([String])
        /// A module is meant where the regular expression matches its whole path.
        case expression(String)
        /// Every linear layer but the output layer.
        case allLinear
    }

    /// nil: the model's own default.
    var modules: Modules?
    var excluded: Modules?
    var layers: [Int]?
    /// Regular expressions for the path segment in front of a layer's number; empty for any.
    var layersPattern: [String]

    init(_ section: ConfigSection, defaults: TargetSelection?) {
        modules = Self.modules(section, "target_modules") ?? defaults?.modules
        excluded = Self.modules(section, "exclude_modules") ?? defaults?.excluded
        layers = section.optionalInts("layers_to_transform", in: 0...) ?? defaults?.layers
        if layers == [] { layers = nil }
        // An expression beside an adapter to start from says all itself.
        if defaults != nil, case .expression? = modules, section.has("target_modules"),
            !section.has("layers_to_transform")
        {
            layers = nil
        }
        layersPattern =
            section.optionalStrings("layers_pattern") ?? (layers == nil ? nil : defaults?.layersPattern) ?? []
    }

    static func modules(_ section: ConfigSection, _ key: String) -> Modules? {
        guard let node = section.node(key) else { return nil }
        if case .scalar(let text, _) = node.content {
            return text.lowercased() == "all-linear" ? .allLinear : .expression(text)
        }
        let entries = section.optionalStrings(key) ?? []
        return entries == ["all-linear"] ? .allLinear : .list(entries)
    }

    /// The linear layers that are meant, in the model's order.
    ///
    /// - Throws: `Problems` where nothing is meant, an entry matches nothing, or something else than a linear layer is
    ///   meant; each says what exists.
    func linears(of model: any AdaptableModel, method: String, default entries: [String], _ section: ConfigSection)
        throws -> [Linear]
    {
        try modules(
            of: model, method: method, default: entries, section, what: "linear layer",
            names: Self.linearNames(of: model)
        ) { module -> Linear? in
            if case .linear(let linear) = module.kind { linear } else { nil }
        }
    }

    /// The modules that are meant, of whatever kind they are, in the model's order.
    ///
    /// - Throws: `Problems` where nothing is meant or an entry matches nothing; each says what exists.
    func paths(of model: any AdaptableModel, method: String, default entries: [String], _ section: ConfigSection) throws
        -> [String]
    {
        try modules(
            of: model, method: method, default: entries, section, what: "module", names: Self.moduleNames(of: model)
        ) { $0.path }
    }

    /// The linear layers and embeddings that are meant, in the model's order.
    ///
    /// - Throws: `Problems` where nothing is meant, an entry matches nothing, or another module is meant; each says what
    ///   exists.
    func layers(of model: any AdaptableModel, method: String, default entries: [String], _ section: ConfigSection)
        throws -> [NamedModule]
    {
        let names = Self.linearNames(of: model) + " and the embeddings " + Self.embeddingNames(of: model)
        return try modules(
            of: model, method: method, default: entries, section, what: "linear layer or embedding", names: names
        ) { module in
            switch module.kind {
            case .linear, .embedding: module
            case .norm, .container: nil
            }
        }
    }

    private func modules<Found>(
        of model: any AdaptableModel, method: String, default entries: [String], _ section: ConfigSection,
        what: String, names: String, _ asFound: (NamedModule) -> Found?
    ) throws -> [Found] {
        let wanted = modules ?? .list(entries)
        var problems: [Problem] = []
        if layers != nil, case .expression = wanted {
            problems.append(
                section.problem(
                    "goes with a list of target_modules, not with a regular expression", at: "layers_to_transform"))
        }
        let isWanted = try matcher(wanted, model, "target_modules", names, section, &problems)
        let isExcluded = try excluded.map { try matcher($0, model, "exclude_modules", names, section, &problems) }
        let blocks = try layers == nil ? nil : LayerNumbers(layersPattern, section)
        var found: [Found] = []
        var seenLayers: Set<Int> = []
        for module in model.modules where isWanted(module.path) && isExcluded?(module.path) != true {
            if let layers, let blocks, !isNamedByPath(module.path) {
                guard let layer = blocks.number(of: module.path) else { continue }
                seenLayers.insert(layer)
                guard layers.contains(layer) else { continue }
            }
            if let obstacle = module.obstacle {
                problems.append(section.problem("\(module.path) \(obstacle)", at: "target_modules"))
                continue
            }
            guard let one = asFound(module) else {
                problems.append(
                    section.problem(
                        "\(module.path) is no \(what), and \(method) works on those; the model has \(names)",
                        at: "target_modules"))
                continue
            }
            found.append(one)
        }
        if section.asksFor("layers_to_transform") {
            for layer in layers ?? [] where !seenLayers.isEmpty && !seenLayers.contains(layer) {
                problems.append(
                    section.problem(
                        "there is no layer \(layer); the layers are 0 to \(seenLayers.max() ?? 0)",
                        at: "layers_to_transform"))
            }
        }
        problems += layersPatternProblems(model, section)
        if found.isEmpty, problems.isEmpty {
            problems.append(
                section.problem(
                    "together with the other settings selects nothing; the model has \(names)", at: "target_modules"))
        }
        if !problems.isEmpty { throw Problems(problems) }
        return found
    }

    /// What is wrong with a run's `layers_pattern`, each entry of which must stand before a layer's number.
    private func layersPatternProblems(_ model: any AdaptableModel, _ section: ConfigSection) -> [Problem] {
        guard section.asksFor("layers_pattern"), !layersPattern.isEmpty else { return [] }
        if layers == nil { return [section.problem("goes with layers_to_transform", at: "layers_pattern")] }
        let paths = model.modules.map(\.path)
        return layersPattern.compactMap { entry in
            guard let numbers = try? LayerNumbers([entry], section),
                !paths.contains(where: { numbers.number(of: $0) != nil })
            else { return nil }
            let names = LayerNumbers.names(in: paths)
            return section.problem(
                "'\(entry)' stands before no layer's number; \(guess(entry, names))the model has "
                    + names.joined(separator: ", "), at: "layers_pattern")
        }
    }

    /// A test of paths; reports entries of a run's configuration that no module answers to.
    private func matcher(
        _ modules: Modules, _ model: any AdaptableModel, _ key: String, _ names: String, _ section: ConfigSection,
        _ problems: inout [Problem]
    ) throws -> (String) -> Bool {
        let paths = model.modules.map(\.path)
        switch modules {
        case .allLinear:
            let linears = Set(
                model.modules.compactMap { module -> String? in
                    guard case .linear = module.kind, module.path != model.outputLayerPath else { return nil }
                    return module.path
                })
            return linears.contains
        case .list(let entries):
            for entry in entries where section.asksFor(key) && !paths.contains(where: { Self.matches($0, entry) }) {
                problems.append(
                    section.problem(
                        "'\(entry)' matches no module; \(guess(entry, Self.parameterNames(of: model)))the model has "
                            + names, at: key))
            }
            return { path in entries.contains { Self.matches(path, $0) } }
        case .expression:
            let matches = try Self.test(of: modules, at: key, section)
            // In a file only what it selects by has to select something, which shows in the end.
            if section.asksFor(key), !paths.contains(where: matches) {
                problems.append(
                    section.problem(
                        "the regular expression '\(Self.text(of: modules))' matches no whole path; the paths are like "
                            + "\(Self.examplePath(of: model)), and the model has \(names)", at: key))
            }
            return matches
        }
    }

    /// Which paths a list or an expression means, as `target_modules` has it.
    ///
    /// - Throws: `Problems` for what is no regular expression.
    static func test(of modules: Modules, at key: String, _ section: ConfigSection) throws -> (String) -> Bool {
        switch modules {
        case .list(let entries): return { path in entries.contains { matches(path, $0) } }
        case .allLinear: return { _ in true }
        case .expression(let source):
            do {
                return try Pattern(source).matchesWhole
            } catch {
                throw Problems([section.problem("'\(source)' is no regular expression: \(error)", at: key)])
            }
        }
    }

    private static func text(of modules: Modules) -> String {
        if case .expression(let source) = modules { source } else { "" }
    }

    static func matches(_ path: String, _ entry: String) -> Bool { path == entry || path.hasSuffix("." + entry) }

    /// Whether an entry of `modules_to_save` means the module at `path`: peft takes all whose path ends in it, also where
    /// that is within a name, so that `norm` means `input_layernorm` too.
    static func saves(_ path: String, _ entry: String) -> Bool { !entry.isEmpty && path.hasSuffix(entry) }

    /// Whether an entry of `modules_to_save` means the module at `path` or one that holds it.
    static func saves(moduleAt path: String, orAbove entry: String) -> Bool {
        let segments = path.split(separator: ".")
        return segments.indices.contains { saves(segments[...$0].joined(separator: "."), entry) }
    }

    /// Whether two entries can mean the same module.
    static func overlap(_ a: String, _ b: String) -> Bool { matches(a, b) || matches(b, a) }

    /// Whether `target_modules` gives the whole path, which peft takes without asking for the layer.
    private func isNamedByPath(_ path: String) -> Bool {
        if case .list(let entries)? = modules { return entries.contains(path) }
        return false
    }

    /// The last segments of the linear layers' paths, as a reader would write them into `target_modules`.
    static func linearNames(of model: any AdaptableModel) -> String {
        var names: [String] = []
        for module in model.modules {
            guard case .linear = module.kind, let name = module.path.split(separator: ".").last.map(String.init),
                !names.contains(name)
            else { continue }
            names.append(name)
        }
        return "the linear layers " + names.joined(separator: ", ")
    }

    private static func embeddingNames(of model: any AdaptableModel) -> String {
        var names: [String] = []
        for module in model.modules {
            guard case .embedding = module.kind, let name = module.path.split(separator: ".").last.map(String.init),
                !names.contains(name)
            else { continue }
            names.append(name)
        }
        return names.joined(separator: ", ")
    }

    /// The names of all modules that hold parameters, likewise.
    static func moduleNames(of model: any AdaptableModel) -> String {
        "the modules " + parameterNames(of: model).joined(separator: ", ")
    }

    /// The last segments of all modules that hold parameters.
    private static func parameterNames(of model: any AdaptableModel) -> [String] {
        lastSegments(
            of: model.modules.compactMap { module in
                if case .container = module.kind { nil } else { module.path }
            })
    }

    private static func examplePath(of model: any AdaptableModel) -> String {
        for module in model.modules {
            if case .linear = module.kind { return module.path }
        }
        return model.outputLayerPath
    }

    /// What peft writes where no module is adapted and the adapter holds nothing but `modules_to_save` and the like.
    static let noModules = "dummy-target-modules"

    /// Whether the selection is peft's word for none.
    var isNone: Bool { modules == .expression(Self.noModules) || modules == .list([Self.noModules]) }

    /// The list as peft's file holds it: `all-linear` written out, a default named.
    func resolved(_ paths: [String], default entries: [String]) -> Modules {
        switch modules {
        case .allLinear?: .list(paths)
        case nil: .list(entries)
        case let modules?: modules
        }
    }
}

/// The numbers of the blocks that modules belong to, as peft finds them: the first segment that is a number with one after
/// it and the right one before it; by default any but the path's first.
struct LayerNumbers {
    private let patterns: [Pattern]

    /// - Throws: `Problems` for entries that are no regular expressions.
    init(_ names: [String], _ section: ConfigSection) throws {
        let entries: [String?] = names.isEmpty ? [nil] : names
        patterns = try entries.map { name in
            do {
                return try Pattern(name.map { "(?:.*\\.)?(?:\($0))" } ?? ".*\\.[^.]*")
            } catch {
                throw Problems([
                    section.problem("'\(name ?? "")' is no regular expression: \(error)", at: "layers_pattern")
                ])
            }
        }
    }

    func number(of path: String) -> Int? {
        let segments = path.split(separator: ".", omittingEmptySubsequences: false)
        guard segments.count > 2 else { return nil }
        for pattern in patterns {
            for place in 1..<segments.count - 1 {
                guard let number = Int(segments[place]),
                    pattern.matchesWhole(segments[..<place].joined(separator: "."))
                else { continue }
                return number
            }
        }
        return nil
    }

    /// What stands before numbers in paths.
    static func names(in paths: [String]) -> [String] {
        var names: [String] = []
        for path in paths {
            let segments = path.split(separator: ".")
            for (name, number) in zip(segments, segments.dropFirst()) where Int(number) != nil {
                if !names.contains(String(name)) { names.append(String(name)) }
            }
        }
        return names
    }
}
