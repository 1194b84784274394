import Diagnostics
import Files
import JSONText

/// A bottleneck adapter as AdapterHub's `adapters` library saves it with `use_safetensors=True`: `adapter_config.json`
/// with its architecture under `config`, `adapter.safetensors` with the adapter's name in every tensor's, and a head in
/// files of its own, see `AdapterHubHead`.
///
/// Within the tool it looks like one of peft's: one flat configuration with a `peft_type`, and names without that.
enum AdapterHubLayout {
    static let type = "BOTTLENECK"
    static let weightsName = "adapter.safetensors"
    static let pickleName = "pytorch_adapter.bin"
    /// The adapter's own name where we write it.
    private static let ownName = "adapter"
    private static let infix = ".adapters."

    /// The flat form of a configuration; nil where it isn't AdapterHub's.
    ///
    /// - Throws: A `Problem` for adapters of AdapterHub that are no bottlenecks.
    static func flattened(_ root: JSONNode) throws -> (configuration: JSONNode, name: String)? {
        guard try root.optional("peft_type") == nil, let architecture = try root.optional("config") else { return nil }
        if let kind = try architecture.optionalString("architecture") {
            throw try architecture.required("architecture").problem(
                "AdapterHub's adapters of the architecture '\(kind)' aren't supported, only bottlenecks")
        }
        let others = try root.asObject().filter { $0.key != "config" }
        var members = try architecture.asObject() + others
        members.append(root.member("peft_type", string: type))
        if let base = try root.optionalString("model_name"), !base.isEmpty,
            !others.contains(where: { $0.key == "base_model_name_or_path" })
        {
            members.append(root.member("base_model_name_or_path", string: base))
        }
        return (root.with(members: members), try root.string("name"))
    }

    /// A tensor's name without the adapter's own.
    static func path(ofKey key: String, adapter name: String) -> String {
        key.replacing("\(infix)\(name).", with: infix, maxReplacements: 1)
    }

    /// Writes the folder's files, the configuration last.
    ///
    /// - Parameter labels: The names of a head's labels by their numbers.
    static func write(
        _ members: [JSONValue.Member], tensors: [OutgoingTensor], labels: [String], metadata: [String: String],
        to folder: String
    ) throws {
        let adapter = tensors.filter { $0.name.contains(infix) }
        let head = tensors.filter { !$0.name.contains(infix) }
        func renamed(_ tensor: OutgoingTensor) -> OutgoingTensor {
            var name = tensor.name
            if name.hasPrefix(AdapterFolder.keyPrefix) { name.removeFirst(AdapterFolder.keyPrefix.count) }
            return tensor.renamed(name.replacing(infix, with: "\(infix)\(ownName).", maxReplacements: 1))
        }
        try SafetensorsWriter.write(
            adapter.map(renamed), metadata: metadata, to: FileSystem.join(folder, weightsName))
        let (architecture, others) = split(members)
        let root = others.filter { $0.key != "peft_type" && $0.key != "name" }
        if !head.isEmpty {
            try AdapterHubHead.write(head.map(renamed), configuration: root, labels: labels, to: folder)
        }
        let configuration = JSONValue.object(
            [.init("config", .object(architecture)), .init("name", .string(ownName))] + root)
        try AtomicFile.write(
            configuration.text(.python), to: FileSystem.join(folder, AdapterFolder.configurationName))
    }

    /// What describes the adapter itself, and the rest.
    private static func split(
        _ members: [JSONValue.Member]
    ) -> (architecture: [JSONValue.Member], others: [JSONValue.Member]) {
        let rest: Set = [
            "peft_type", "name", "base_model_name_or_path", "model_name", "hidden_size", "model_class", "version",
            "task_type", "modules_to_save",
        ]
        return (members.filter { !rest.contains($0.key) }, members.filter { rest.contains($0.key) })
    }
}
