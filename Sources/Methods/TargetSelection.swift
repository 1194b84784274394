import Configuration
import Diagnostics
import Layers

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
    /// The path segment in front of a layer's number; nil: the first segment that is a number.
    var layersPattern: [String]

    init(_ section: ConfigSection, defaults: TargetSelection?) {
        modules = Self.modules(section, "target_modules") ?? defaults?.modules
        excluded = Self.modules(section, "exclude_modules") ?? defaults?.excluded
        layers = section.optionalInts("layers_to_transform", in: 0...) ?? defaults?.layers
        if layers == [] { layers = nil }
        layersPattern = section.optionalStrings("layers_pattern") ?? defaults?.layersPattern ?? []
    }

    static func modules(_ section: ConfigSection, _ key: String) -> Modules? {
        guard let node = section.node(key) else { return nil }
        if case .scalar(let text, _) = node.content { return text == "all-linear" ? .allLinear : .expression(text) }
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
        var found: [Found] = []
        var seenLayers: Set<Int> = []
        for module in model.modules where isWanted(module.path) && isExcluded?(module.path) != true {
            if let layers, !isNamedByPath(module.path) {
                guard let layer = layerIndex(of: module.path) else { continue }
                seenLayers.insert(layer)
                guard layers.contains(layer) else { continue }
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
        for layer in layers ?? [] where !seenLayers.isEmpty && !seenLayers.contains(layer) {
            problems.append(
                section.problem(
                    "there is no layer \(layer); the layers are 0 to \(seenLayers.max() ?? 0)",
                    at: "layers_to_transform"))
        }
        if found.isEmpty, problems.isEmpty {
            problems.append(
                section.problem(
                    "together with the other settings selects nothing; the model has \(names)", at: "target_modules"))
        }
        if !problems.isEmpty { throw Problems(problems) }
        return found
    }

    /// A test of paths; reports entries that no module answers to.
    private func matcher(
        _ modules: Modules, _ model: any AdaptableModel, _ key: String, _ names: String, _ section: ConfigSection,
        _ problems: inout [Problem]
    ) throws -> (String) -> Bool {
        switch modules {
        case .allLinear:
            let paths = Set(
                model.modules.compactMap { module -> String? in
                    guard case .linear = module.kind, module.path != model.outputLayerPath else { return nil }
                    return module.path
                })
            return paths.contains
        case .list(let entries):
            for entry in entries where !model.modules.contains(where: { Self.matches($0.path, entry) }) {
                problems.append(
                    section.problem(
                        "'\(entry)' matches no module; the model has \(names)", at: key))
            }
            return { path in entries.contains { Self.matches(path, $0) } }
        case .expression(let pattern):
            do {
                let expression = try Regex(pattern)
                let matches = { (path: String) in (try? expression.wholeMatch(in: path)) != nil }
                if !model.modules.contains(where: { matches($0.path) }) {
                    problems.append(
                        section.problem(
                            "the regular expression '\(pattern)' matches no whole path; the paths are like "
                                + "\(Self.examplePath(of: model)), and the model has \(names)",
                            at: key))
                }
                return matches
            } catch {
                throw Problems([section.problem("'\(pattern)' is no regular expression: \(error)", at: key)])
            }
        }
    }

    static func matches(_ path: String, _ entry: String) -> Bool { path == entry || path.hasSuffix("." + entry) }

    /// Whether a path is meant by a list or an expression, as `target_modules` has it.
    static func means(_ modules: Modules, _ path: String) throws -> Bool {
        switch modules {
        case .list(let entries): entries.contains { matches(path, $0) }
        case .expression(let pattern): try Regex(pattern).wholeMatch(in: path) != nil
        case .allLinear: true
        }
    }

    /// Whether two entries can mean the same module.
    static func overlap(_ a: String, _ b: String) -> Bool { matches(a, b) || matches(b, a) }

    /// Whether an entry means the module at `path` or one that holds it.
    static func matches(moduleAt path: String, orAbove entry: String) -> Bool {
        let segments = path.split(separator: ".")
        return segments.indices.contains { matches(segments[...$0].joined(separator: "."), entry) }
    }

    /// Whether `target_modules` gives the whole path, which peft takes without asking for the layer.
    private func isNamedByPath(_ path: String) -> Bool {
        if case .list(let entries)? = modules { return entries.contains(path) }
        return false
    }

    /// The number of the block that a module belongs to.
    private func layerIndex(of path: String) -> Int? {
        let segments = path.split(separator: ".")
        if layersPattern.isEmpty { return segments.lazy.compactMap { Int($0) }.first }
        for (pattern, number) in zip(segments, segments.dropFirst()) where layersPattern.contains(String(pattern)) {
            if let index = Int(number) { return index }
        }
        return nil
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
        let names = model.modules.compactMap { module -> String? in
            guard case .embedding = module.kind else { return nil }
            return module.path.split(separator: ".").last.map(String.init)
        }
        return names.joined(separator: ", ")
    }

    /// The names of all modules that hold parameters, likewise.
    static func moduleNames(of model: any AdaptableModel) -> String {
        var names: [String] = []
        for module in model.modules {
            if case .container = module.kind { continue }
            guard let name = module.path.split(separator: ".").last.map(String.init), !names.contains(name) else {
                continue
            }
            names.append(name)
        }
        return "the modules " + names.joined(separator: ", ")
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
