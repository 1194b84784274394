public import Checkpoints
import Configuration
import Diagnostics
import JSONText
public import Methods

extension BaseModel {
    /// Puts an adapter into the model, to be used or trained further.
    ///
    /// - Throws: `Problem` or `Problems` for an adapter of a kind that isn't supported, one whose settings don't fit the
    ///   model, and missing, unexpected or misshapen tensors.
    public func install(_ adapter: AdapterFolder, _ context: InstallationContext) throws -> any Installation {
        let type = try Self.method(of: adapter)
        let document = ConfigDocument(json: adapter.configuration)
        let method = try Self.instance(of: type, document.root)
        let installation = try method.install(into: model, context)
        do {
            try installation.load(adapter)
        } catch {
            installation.remove()
            throw error
        }
        return installation
    }

    /// The method that an adapter's `peft_type` names.
    public static func method(of adapter: AdapterFolder) throws -> any PEFTMethod.Type {
        let type = try adapter.configuration.string("peft_type")
        guard let method = methods.first(where: { $0.adapterType == type }) else {
            let known = methods.compactMap { $0.adapterType.map { "'\($0)'" } }.joined(separator: ", ")
            throw try adapter.configuration.required("peft_type").problem(
                "adapters of type '\(type)' aren't supported; the supported types are \(known)")
        }
        return method
    }

    private static func instance<Method: PEFTMethod>(
        of type: Method.Type, _ section: ConfigSection
    ) throws -> any PEFTMethod { try type.init(section, startingFrom: nil) }
}

extension Installation {
    /// Takes over the tensors of an adapter.
    ///
    /// - Throws: `Problems` that list every missing, unexpected and misshapen tensor; then nothing was changed.
    func load(_ adapter: AdapterFolder) throws {
        let tensors = try adapter.entries.map { ($0.path, try adapter.tensor($0)) }
        try load(Dictionary(tensors, uniquingKeysWith: { first, _ in first }), file: adapter.weights.path)
    }
}
