import Layers
import Models
import Tensors

/// How much one pass through a model may hold for each sequence in it to have the bits that it has alone.
struct SharedPass {
    /// The most rows beside each other; what has more goes alone.
    let rows: Int
    /// The most rows of the output layer, which lies as [outputs, inputs] in every family.
    let outputs: Int
    /// The most rows of a text that goes alone.
    private let piece: Int
    /// Where long texts are cut, so that a text's bits are the same whether its beginning was computed with it or for others
    /// too: at multiples of this. 1 where passes of any number of rows up to `rows` give the same bits.
    let cut: Int

    init(_ model: any LanguageModel) {
        if BlockProduct.isPreferred {
            // Any number of rows would do; more of them would take more memory, and gain little.
            (rows, outputs, piece, cut) = (128, 128, 512, 1)
            return
        }
        outputs = SkinnyProduct.rowLimit
        let liesByInputs = model.modules.allSatisfy { module in
            guard case .linear(let layer) = module.kind, module.path != model.outputLayerPath else { return true }
            return layer.isInputByOutput
        }
        rows = liesByInputs ? SkinnyProduct.promptLimit : SkinnyProduct.rowLimit
        // Tiles of large products have no more rows, so that pieces are as fast as the whole.
        (piece, cut) = (256, 256)
    }

    /// The pieces in which tokens from `start` to `end` go through a model, the last with what remains.
    ///
    /// - Parameter leading: Virtual tokens that go with the first.
    func pieces(from start: Int, to end: Int, leading: Int) -> [Range<Int>] {
        var pieces: [Range<Int>] = []
        var first = start
        while first < end {
            let room = cut == 1 ? max(1, piece - (pieces.isEmpty ? leading : 0)) : cut - first % cut
            pieces.append(first..<min(end, first + room))
            first += room
        }
        return pieces
    }
}
