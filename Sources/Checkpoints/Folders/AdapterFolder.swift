public import Diagnostics
import Files
public import JSONText
public import Tensors

/// An adapter as Hugging Face peft saves it: `adapter_config.json` beside `adapter_model.safetensors`; or a bottleneck
/// adapter as AdapterHub does, which looks the same here.
public struct AdapterFolder: Sendable {
    /// One stored tensor.
    public struct Entry: Sendable, Hashable {
        /// The name without `base_model.model.` and without the adapter's own name:
        /// `transformer.h.0.attn.c_attn.lora_A.weight`, `prompt_embeddings`.
        public let path: String
        public let tensor: TensorEntry
    }

    public static let configurationName = "adapter_config.json"
    public static let weightsName = "adapter_model.safetensors"
    /// Stands before the module's path in the names of what peft's tuners store; not before `prompt_embeddings`.
    public static let keyPrefix = "base_model.model."
    /// All files that an adapter's folder can hold beside its configuration.
    public static let fileNames = [
        weightsName, AdapterHubLayout.weightsName, AdapterHubHead.weightsName, AdapterHubHead.configurationName,
    ]
    static let pickleName = "adapter_model.bin"

    /// The folder that holds the two files: the one that was asked for, or the one below it.
    public let path: String
    /// An object; its values know file, line and column.
    public let configuration: JSONNode
    public let weights: SafetensorsFile
    /// In the order of their bytes.
    public let entries: [Entry]

    private let indexes: [String: Int]
    /// AdapterHub's file of a head beside the adapter's.
    private let head: AdapterHubHead?

    /// Opens the adapter in `folder`, or in the only folder below it that holds one: peft saves an adapter whose name
    /// isn't `default` there.
    ///
    /// Throws a `Problem` that names what is missing, broken, or there more than once.
    public init(path folder: String, warn: WarningSink) throws {
        path = try Self.locate(folder)
        let configurationPath = FileSystem.join(path, Self.configurationName)
        let root = try Self.readConfiguration(configurationPath)
        let hub = try AdapterHubLayout.flattened(root)
        let head = try hub == nil ? nil : AdapterHubHead(in: path, warn: warn)
        let flat = hub?.configuration ?? root
        configuration = try head?.completed(flat) ?? flat
        AdapterFields.check(configuration, warn: warn)
        self.head = head
        let weightsName = hub == nil ? Self.weightsName : AdapterHubLayout.weightsName
        let weightsPath = FileSystem.join(path, weightsName)
        if !FileSystem.exists(weightsPath) {
            if hub != nil, FileSystem.exists(FileSystem.join(path, AdapterHubLayout.pickleName)) {
                throw Problem(
                    "the weights are there as \(AdapterHubLayout.pickleName) only, a PyTorch pickle, which isn't read "
                        + "here: load the adapter in AdapterHub's library and save it again with "
                        + "save_adapter(..., use_safetensors=True)", file: path, exitStatus: .missingInput)
            }
            if FileSystem.exists(FileSystem.join(path, Self.pickleName)) {
                throw Problem(
                    "the weights are there as \(Self.pickleName) only, a PyTorch pickle, which isn't read here: load the "
                        + "adapter in peft and save it again with save_pretrained(..., safe_serialization=True)",
                    file: path, exitStatus: .missingInput)
            }
            throw Problem(
                "\(Self.configurationName) is in the folder, but no \(weightsName)", file: path,
                exitStatus: .missingInput)
        }
        weights = try SafetensorsFile(path: weightsPath, warn: warn)
        let all = weights.tensors.map { tensor in
            let key = hub.map { AdapterHubLayout.path(ofKey: tensor.name, adapter: $0.name) } ?? tensor.name
            return Entry(path: Self.path(ofKey: key), tensor: tensor)
        }
        let own = hub == nil ? Self.withoutForeignHeads(all, of: configuration, file: weightsPath, warn: warn) : all
        entries = own + (head?.file.tensors.map { Entry(path: head?.path(of: $0.name) ?? $0.name, tensor: $0) } ?? [])
        var indexes: [String: Int] = [:]
        for (index, entry) in entries.enumerated() {
            if let other = indexes.updateValue(index, forKey: entry.path) {
                throw Problem(
                    "names the same tensor as '\(entries[other].tensor.name)'", file: weightsPath,
                    key: entry.tensor.name)
            }
        }
        self.indexes = indexes
    }

    /// Whether the adapter is for sequence classification, with a head of its own: by its task, or by the class of the
    /// model where peft was told no task.
    public var isForClassification: Bool { Self.isForClassification(configuration) }

    private static func isForClassification(_ configuration: JSONNode) -> Bool {
        if let task = (try? configuration.optionalString("task_type")) ?? nil { return task == "SEQ_CLS" }
        let mapping = (try? configuration.optional("auto_mapping")) ?? nil
        let name = mapping.flatMap { try? $0.optionalString("base_model_class") } ?? nil
        return name?.hasSuffix("ForSequenceClassification") ?? false
    }

    /// The tensors without those of heads that models of these classes haven't got, which other libraries leave in the file
    /// and peft passes over: of a reward model's values, of other tasks.
    private static func withoutForeignHeads(
        _ entries: [Entry], of configuration: JSONNode, file: String, warn: WarningSink
    ) -> [Entry] {
        let heads = ["v_head.", "qa_outputs."] + (isForClassification(configuration) ? [] : ["classifier.", "score."])
        let foreign = entries.filter { entry in heads.contains(where: entry.path.hasPrefix) }
        guard let first = foreign.first else { return entries }
        let more = foreign.count > 1 ? " and \(foreign.count - 1) more" : ""
        warn(
            Problem(
                "belongs to a head that the model hasn't got\(more), and is left out, as peft does", file: file,
                key: first.path, severity: .warning))
        return entries.filter { entry in !heads.contains(where: entry.path.hasPrefix) }
    }

    /// The entry whose `path` is `name`.
    public func entry(_ path: String) -> Entry? { indexes[path].map { entries[$0] } }

    /// The tensor of an entry, as floats.
    public func tensor(_ entry: Entry) throws -> Tensor { try raw(entry).tensor() }

    /// The tensor of an entry, as it is stored.
    public func raw(_ entry: Entry) throws -> RawTensor {
        let isOfHead = head?.file.entry(named: entry.tensor.name) != nil
        return try (isOfHead ? head?.file : nil)?.raw(named: entry.tensor.name)
            ?? weights.raw(named: entry.tensor.name)
    }

    /// A tensor's name as peft stores it, without prefix and without the infix `.default` of an adapter's name.
    static func path(ofKey key: String) -> String {
        var parts = key.split(separator: ".", omittingEmptySubsequences: false)
        if parts.starts(with: ["base_model", "model"]) {
            parts.removeFirst(2)
        } else if parts.first == "base_model" {
            parts.removeFirst()
        }
        parts.removeAll { $0 == "default" }
        return parts.joined(separator: ".")
    }

    private static func readConfiguration(_ path: String) throws -> JSONNode {
        let file = try FileBytes(path: path)
        return try file.withBytes { bytes in
            if let problem = foreignFormat(bytes, file: path) { throw problem }
            let root = try JSONNode.parse(bytes, file: path)
            _ = try root.asObject()
            return root
        }
    }

    private static func locate(_ folder: String) throws -> String {
        func holdsAdapter(_ folder: String) -> Bool {
            FileSystem.exists(FileSystem.join(folder, configurationName))
        }
        guard FileSystem.exists(folder) else {
            throw Problem("no such folder", file: folder, exitStatus: .missingInput)
        }
        guard FileSystem.isFolder(folder) else {
            throw Problem("expected an adapter's folder, found a file", file: folder, exitStatus: .missingInput)
        }
        if holdsAdapter(folder) { return folder }
        let below = try FileSystem.names(in: folder).filter {
            $0.utf8.first != UInt8(ascii: ".") && holdsAdapter(FileSystem.join(folder, $0))
        }
        if below.count == 1 { return FileSystem.join(folder, below[0]) }
        if below.isEmpty {
            throw Problem("no adapter: the folder has no \(configurationName)", file: folder, exitStatus: .missingInput)
        }
        let names = below.map { "'\($0)'" }.joined(separator: ", ")
        throw Problem(
            "several adapters are in the folder (\(names)): give the path of one of them", file: folder)
    }

    /// Writes an adapter's two files into an existing folder, the configuration as Python's
    /// `json.dumps(indent=2, sort_keys=True)` and last, so that a folder with a configuration is whole.
    ///
    /// The tensors have the names that peft gives them, `keyPrefix` included.
    ///
    /// - Parameters:
    ///   - labels: The names of a head's labels by their numbers, which AdapterHub stores and peft doesn't.
    ///   - metadata: Texts to be stored beside what everybody writes into the weights' file, and passed over elsewhere.
    public static func write(
        configuration: JSONValue, tensors: [OutgoingTensor], labels: [String] = [], metadata: [String: String] = [:],
        to folder: String
    ) throws {
        let metadata = SafetensorsWriter.standardMetadata.merging(metadata) { standard, _ in standard }
        if case .object(let members) = configuration,
            members.contains(where: { $0.key == "peft_type" && $0.value == .string(AdapterHubLayout.type) })
        {
            return try AdapterHubLayout.write(
                members, tensors: tensors, labels: labels, metadata: metadata, to: folder)
        }
        try SafetensorsWriter.write(tensors, metadata: metadata, to: FileSystem.join(folder, weightsName))
        try AtomicFile.write(configuration.text(.python), to: FileSystem.join(folder, configurationName))
    }
}
