public import Checkpoints
import Configuration
import Diagnostics
import JSONText
public import Methods
import Tensors

extension BaseModel {
    /// Puts an adapter into the model, to be used or trained further.
    ///
    /// - Throws: `Problem` or `Problems` for an adapter of a kind that isn't supported, one whose settings don't fit the
    ///   model, and missing, unexpected or misshapen tensors.
    public func install(_ adapter: AdapterFolder, _ context: InstallationContext) throws -> any Installation {
        let type = try Self.method(of: adapter)
        let document = ConfigDocument(adapter: adapter)
        return try install(adapter, as: try Self.instance(of: type, document.root), context)
    }

    /// The same with the adapter's settings as they were read before.
    func install(
        _ adapter: AdapterFolder, as method: any PEFTMethod, _ context: InstallationContext
    ) throws -> any Installation {
        if let difference = AdapterFingerprints(adapter).difference(from: self) {
            guard let otherBaseWarning else {
                throw Problem(
                    difference + "; give the right one with --base, or --other-base to go on all the same",
                    file: adapter.path)
            }
            otherBaseWarning(Problem(difference, file: adapter.path, severity: .warning))
        }
        var tensors = try adapter.finiteTensors()
        let tables = try StoredTables(
            takenFrom: &tensors, for: model, method: method,
            modulesToSave: ConfigDocument(adapter: adapter).root.optionalStrings("modules_to_save") ?? [],
            file: adapter.weights.path)
        let others = tensors
        var context = context
        context.stored = StoredShapes(others, file: adapter.weights.path)
        return try tables.install(
            {
                let installation = try method.installWithHead(into: model, context)
                do {
                    try installation.load(others, file: adapter.weights.path)
                } catch {
                    installation.remove()
                    throw error
                }
                return installation
            }, in: model)
    }

    /// The method that an adapter's `peft_type` names.
    public static func method(of adapter: AdapterFolder) throws -> any PEFTMethod.Type {
        let type = try adapter.configuration.string("peft_type")
        guard let method = methods.first(where: { $0.adapterType == type }) else {
            var known: [String] = []
            for method in methods {
                if let type = method.adapterType.map({ "'\($0)'" }), !known.contains(type) { known.append(type) }
            }
            throw try adapter.configuration.required("peft_type").problem(
                "adapters of type '\(type)' aren't supported; the supported types are \(known.joined(separator: ", "))")
        }
        return method
    }

    private static func instance<Method: PEFTMethod>(
        of type: Method.Type, _ section: ConfigSection
    ) throws -> any PEFTMethod { try type.init(section, startingFrom: nil) }
}

extension ConfigDocument {
    /// An adapter's settings, without what stands there for the head of a task alone.
    convenience init(adapter: AdapterFolder) {
        var node = ConfigNode(adapter.configuration)
        if case .mapping(var members) = node.content,
            adapter.isForClassification, let index = members.firstIndex(where: { $0.key == "modules_to_save" }),
            case .list(let modules) = members[index].value.content
        {
            let others = modules.filter { module in
                guard case .scalar(let name, _) = module.content else { return true }
                return !taskHeadModules.contains(name)
            }
            members[index].value.content = others.isEmpty ? .null : .list(others)
            node.content = .mapping(members)
        }
        self.init(node: node, file: adapter.configuration.file)
    }
}

extension AdapterFolder {
    /// Whether the adapter's virtual tokens stand where the data's template puts them.
    public var placesVirtualTokens: Bool {
        get throws { try configuration.optionalString("virtual_token_placement") == "template" }
    }

    /// All tensors by their paths, as floats.
    ///
    /// - Throws: `Problems` that name each that holds a number which isn't finite.
    func finiteTensors() throws -> [String: Tensor] {
        var problems: [Problem] = []
        for entry in entries {
            let raw = try raw(entry)
            guard let element = try raw.nonFiniteElement else { continue }
            problems.append(nonFiniteProblem(element, in: raw.name, file: raw.file))
        }
        if !problems.isEmpty { throw Problems(problems) }
        return try tensors()
    }

    /// All tensors by their paths, as floats.
    func tensors() throws -> [String: Tensor] {
        let tensors = try entries.map { ($0.path, try tensor($0)) }
        return Dictionary(tensors, uniquingKeysWith: { first, _ in first })
    }
}

extension Installation {
    /// Takes over the tensors of an adapter.
    ///
    /// - Throws: `Problems` that list every missing, unexpected and misshapen tensor; then nothing was changed.
    func load(_ adapter: AdapterFolder) throws {
        try load(adapter.finiteTensors(), file: adapter.weights.path)
    }
}
