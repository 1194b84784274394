import Checkpoints
public import Datasets
import Diagnostics
import Files
import JSONText

/// What predictions depend on, by content: they can be gone on with where all of it is the same.
public struct EvaluationIdentity: Sendable, Hashable {
    private struct Part: Sendable, Hashable {
        let name: String
        let value: String
    }

    private let parts: [Part]

    /// - Parameters:
    ///   - adapter: The folder of the adapter that is on the model.
    ///   - settings: Whatever else the predictions depend on.
    public init(_ base: BaseModel, adapter: String?, data: Dataset, settings: [String]) throws {
        var parts = [Part(name: "model", value: base.fingerprint.text)]
        if let tokenizer = base.tokenizer {
            parts.append(Part(name: "tokenizer", value: TokenizerFingerprint(tokenizer).text))
        }
        if let adapter { parts.append(Part(name: "adapter", value: try Self.content(of: adapter))) }
        let hash = try data.contentHash(isParallel: true)
        parts.append(Part(name: "data", value: "\(data.count):\(ContentHash.text(hash))"))
        parts.append(Part(name: "settings", value: settings.joined(separator: "\n")))
        self.parts = parts
    }

    init(_ node: JSONNode) throws {
        parts = try node.asObject().map { Part(name: $0.key, value: try $0.value.asString()) }
    }

    var json: JSONValue { .object(parts.map { .init($0.name, .string($0.value)) }) }

    /// The first thing that is another; nil where all are the same.
    func difference(from other: EvaluationIdentity) -> String? {
        for part in parts where !other.parts.contains(part) { return part.name }
        return other.parts.first { !parts.contains($0) }?.name
    }

    /// A hash of an adapter's weights and configurations.
    private static func content(of folder: String) throws -> String {
        var hash = ContentHash()
        for name in try FileSystem.names(in: folder).sorted() {
            let path = FileSystem.join(folder, name)
            guard name.hasSuffix(".safetensors") || name.hasPrefix("adapter_config") || name.hasPrefix("head_config"),
                FileSystem.isFile(path)
            else { continue }
            hash.add(name)
            try FileBytes(path: path).withBytes { hash.add($0) }
        }
        return hash.text
    }
}
