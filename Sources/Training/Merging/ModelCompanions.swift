import Checkpoints
import Files
import JSONText
import Models

/// Copies what lies beside a model's weights: the configuration, changed where the weights' form changed, the tokenizer
/// and whatever else, but no weights and nothing of a training run.
func copyCompanions(
    of folder: String, to target: String, leavingOut excluded: Set<String>, elementType: ElementType?,
    changes: [JSONValue.Member], removing removed: Set<String> = []
) throws {
    for name in try companionNames(of: folder) where !excluded.contains(name) {
        let source = FileSystem.join(folder, name)
        let copy = FileSystem.join(target, name)
        if name == "config.json", elementType != nil || !changes.isEmpty || !removed.isEmpty {
            let bytes = try FileBytes(path: source)
            let configuration = try bytes.withBytes { try JSONNode.parse($0, file: source).plain }
            let changed = adjusted(configuration, elementType: elementType, changes: changes, removing: removed)
            try AtomicFile.write(changed.text(.indented) + "\n", to: copy)
        } else {
            try FileSystem.copyFile(from: source, to: copy)
        }
    }
}

extension BaseModel {
    /// Members of a `config.json` that describe the model as it is now.
    var changedFields: [JSONValue.Member] {
        model.headFields.map { .init($0.key, .boolean($0.value)) } + TaskLabels.configuration(self)
    }
}

/// The files beside a model's weights that belong to it.
func companionNames(of folder: String) throws -> [String] {
    try FileSystem.names(in: folder).filter { isCompanion($0) && FileSystem.isFile(FileSystem.join(folder, $0)) }
}

/// Whether the file `name` of a folder is one that a model's folder has: by its name, or because it is a copy of what lies
/// beside the weights of the model `base`.
func isModelFile(_ name: String, in folder: String, base: String?) -> Bool {
    let path = FileSystem.join(folder, name)
    guard FileSystem.isFile(path), !FileSystem.isLink(path) else { return false }
    if KnownFiles.isModelFile(name) { return true }
    guard let base, isCompanion(name), let own = try? FileBytes(path: path),
        let other = try? FileBytes(path: FileSystem.join(base, name))
    else { return false }
    return own.withBytes { own in other.withBytes { own.elementsEqual($0) } }
}

private func isCompanion(_ name: String) -> Bool {
    let weights = [
        ".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pt", ".pth", ".h5", ".msgpack", ".ckpt",
        ".gguf", ".onnx", ".tflite", ".ot",
    ]
    let others = [
        "metrics.jsonl", "loss.svg", "training_config.yaml", "training_state.json", "adapter_config.json",
        TrainedTemplates.fileName,
    ]
    return !name.hasPrefix(".") && !others.contains(name) && !weights.contains { name.hasSuffix($0) }
}

private func adjusted(
    _ configuration: JSONValue, elementType: ElementType?, changes: [JSONValue.Member], removing removed: Set<String>
) -> JSONValue {
    guard case .object(var members) = configuration else { return configuration }
    let isSorted = zip(members, members.dropFirst()).allSatisfy { $0.key < $1.key }
    func set(_ key: String, _ value: JSONValue) {
        if let place = members.firstIndex(where: { sameBytes($0.key, key) }) {
            members[place].value = value
        } else {
            // transformers sorts them.
            let place = isSorted ? members.firstIndex { $0.key > key } : nil
            members.insert(.init(key, value), at: place ?? members.count)
        }
    }
    members.removeAll { removed.contains($0.key) }
    let names: [ElementType: JSONValue] = [.float32: "float32", .float16: "float16", .bfloat16: "bfloat16"]
    if let elementType, let name = names[elementType] {
        // Releases before 5 of transformers write torch_dtype.
        let isOld = members.contains { $0.key == "torch_dtype" } && !members.contains { $0.key == "dtype" }
        set(isOld ? "torch_dtype" : "dtype", name)
    }
    for change in changes { set(change.key, change.value) }
    return .object(members)
}
