import ChatTemplates
import Checkpoints
import Datasets
import Files
import Layers
import Methods
import Models
import Tensors

/// Writes what a method delivers into a folder: an adapter as peft has it, or a checkpoint as transformers has it.
struct DeliveryWriter {
    let base: BaseModel
    /// What conversations were written by, to go with the result; nil where there were none.
    var chat: ChatFormat?

    /// Each of the folder's files appears whole, and the one named by `mark` last, so that it stands for all of them.
    func write(_ delivery: Delivery, to folder: String) throws {
        switch delivery {
        case .adapter(let configuration, let tensors):
            try writeChatTemplate(to: folder)
            try AdapterFolder.write(
                configuration: configuration,
                tensors: tensors.map { OutgoingTensor($0.name, $0.tensor, as: .float32) },
                labels: base.labels?.names ?? [], metadata: AdapterFingerprints(base).metadata, to: folder)
        case .checkpoint:
            // The folder has a card of its own.
            try copyCompanions(
                of: base.folder, to: folder, leavingOut: [ModelCard.fileName], elementType: .float32,
                changes: base.changedFields, removing: [quantizationKey])
            try writeChatTemplate(to: folder)
            let family = type(of: base.model)
            let head = base.model.taskHead == nil ? family.headPath + ".weight" : nil
            var tensors = base.model.parameters.filter { $0.name != head }.map { parameter in
                OutgoingTensor(family.storedName(parameter.name), shape: parameter.shape, as: .float32) {
                    parameter.tensor
                }
            }
            if let head, let stored = base.model.storedHead {
                tensors.append(
                    OutgoingTensor(family.storedName(head), shape: stored.shape, as: .float32) { stored.floats })
            }
            try SafetensorsWriter.write(tensors, to: FileSystem.join(folder, Self.modelName))
        }
    }

    private func writeChatTemplate(to folder: String) throws {
        guard let chat else { return }
        try AtomicFile.write(chat.template.source, to: FileSystem.join(folder, BaseModel.chatTemplateName))
    }

    static let modelName = "model.safetensors"

    /// The names that a delivery of either kind writes last.
    static let marks = [AdapterFolder.configurationName, modelName]
}
