import Diagnostics
import Files
import JSONText

/// A head in the folder of an AdapterHub adapter: `model_head.safetensors`, with `head_config.json` beside it.
///
/// The head of a `transformers` model has its name there, `score` or `lm_head`. A linear one for classification that was
/// added to AdapterHub's own model class (`heads.NAME.1`) is read as `score`; its other heads have layers that the models
/// here don't.
struct AdapterHubHead: Sendable {
    static let weightsName = "model_head.safetensors"
    static let configurationName = "head_config.json"
    static let classifierName = "score.weight"

    let file: SafetensorsFile
    /// The names of the labels with their numbers, where they are told.
    private let labels: JSONMember?
    /// The name of the one tensor of a head of AdapterHub's own.
    private let ownName: String?

    /// The head in `folder`; nil where there is none.
    ///
    /// - Throws: A `Problem` for a broken file and a head of a kind that isn't supported.
    init?(in folder: String, warn: WarningSink) throws {
        let path = FileSystem.join(folder, Self.weightsName)
        guard FileSystem.exists(path) else { return nil }
        let file = try SafetensorsFile(path: path, warn: warn)
        self.file = file
        let configurationPath = FileSystem.join(folder, Self.configurationName)
        guard FileSystem.exists(configurationPath) else {
            (labels, ownName) = (nil, nil)
            return
        }
        let root = try JSONNode.load(path: configurationPath)
        guard let own = try root.optional("config") else {
            labels = try root.asObject().first { $0.key == "label2id" }
            ownName = nil
            return
        }
        labels = try own.asObject().first { $0.key == "label2id" }
        guard try own.string("head_type") == "classification", try own.integer("layers") == 1,
            try !(own.optionalBoolean("bias") ?? true)
        else {
            throw own.problem(
                "this head can't be used here: of AdapterHub's own heads only those for classification with one layer and "
                    + "no bias are read; to use the adapter without it, take \(Self.weightsName) out of the folder")
        }
        ownName = "heads.\(try root.string("name")).1.weight"
    }

    /// The name here of a tensor of the file.
    func path(of name: String) -> String { name == ownName ? Self.classifierName : name }

    /// An adapter's configuration with what the head adds to it, under the names that peft and transformers have.
    func completed(_ configuration: JSONNode) throws -> JSONNode {
        guard file.tensors.contains(where: { path(of: $0.name) == Self.classifierName }) else { return configuration }
        var members = try configuration.asObject()
        if !members.contains(where: { $0.key == "task_type" }) {
            members.append(configuration.member("task_type", string: "SEQ_CLS"))
        }
        if let labels { members.append(labels) }
        return configuration.with(members: members)
    }

    /// Writes the files of a head of a `transformers` model.
    ///
    /// - Parameters:
    ///   - configuration: What the adapter's configuration says of its model.
    ///   - labels: The names of the labels by their numbers; empty where they have none.
    static func write(
        _ tensors: [OutgoingTensor], configuration: [JSONValue.Member], labels: [String], to folder: String
    ) throws {
        try SafetensorsWriter.write(tensors, to: FileSystem.join(folder, weightsName))
        let shared: Set = ["hidden_size", "model_class", "model_name", "version"]
        var members = configuration.filter { shared.contains($0.key) }
        members += [.init("config", nil), .init("name", nil)]
        if let count = tensors.first(where: { $0.name == classifierName })?.shape.first {
            members.append(.init("num_labels", .integer(count)))
        }
        if !labels.isEmpty {
            members.append(
                .init("label2id", .object(labels.enumerated().map { .init($0.element, .integer($0.offset)) })))
        }
        try AtomicFile.write(
            JSONValue.object(members).text(.python), to: FileSystem.join(folder, configurationName))
    }
}
