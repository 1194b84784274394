import Checkpoints
import JSONText
import Layers
import Methods
import Models
import Tensors

/// Writes what a method delivers into a folder: an adapter as peft has it, or a checkpoint as transformers has it.
struct DeliveryWriter {
    let base: BaseModel

    /// - Parameter forTraining: Only what a run needs to go on; the tokenizer and the like stay out.
    func write(_ delivery: Delivery, to folder: String, forTraining: Bool) throws {
        switch delivery {
        case .adapter(let configuration, let tensors):
            try AdapterFolder.write(
                configuration: configuration,
                tensors: tensors.map { OutgoingTensor($0.name, $0.tensor, as: .float32) }, to: folder)
        case .checkpoint:
            try SafetensorsWriter.write(
                base.model.parameters.map { OutgoingTensor($0.name, $0.tensor, as: .float32) },
                to: FileSystem.join(folder, "model.safetensors"))
            if forTraining { return }
            try copyModelFiles(to: folder)
        }
    }

    /// Everything of the base model's folder but its weights.
    private func copyModelFiles(to folder: String) throws {
        for name in try FileSystem.names(in: base.folder) where Self.isModelFile(name) {
            let source = FileSystem.join(base.folder, name)
            if FileSystem.isFile(source) {
                try FileSystem.copyFile(from: source, to: FileSystem.join(folder, name))
            }
        }
    }

    private static func isModelFile(_ name: String) -> Bool {
        let endings = [".json", ".txt", ".model"]
        return endings.contains(where: name.hasSuffix) && !name.hasSuffix(".index.json")
    }
}
