import Layers
import Models
import Tensors

/// How much one pass through a model may hold for each sequence in it to have the bits that it has alone.
struct SharedPass {
    /// The most rows beside each other; a sequence of more goes alone.
    let rows: Int
    /// The most rows of the output layer, which lies as [outputs, inputs] in every family.
    let outputs: Int

    init(_ model: any LanguageModel) {
        if BlockProduct.isPreferred {
            // Any number of rows would do; more of them would take more memory, and gain little.
            (rows, outputs) = (128, 128)
            return
        }
        outputs = SkinnyProduct.rowLimit
        let liesByInputs = model.modules.allSatisfy { module in
            guard case .linear(let layer) = module.kind, module.path != model.outputLayerPath else { return true }
            return layer.isInputByOutput
        }
        rows = liesByInputs ? SkinnyProduct.promptLimit : SkinnyProduct.rowLimit
    }
}
