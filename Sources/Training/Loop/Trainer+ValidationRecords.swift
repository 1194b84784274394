import Checkpoints
import Datasets
import Diagnostics
import Files
import JSONText

extension Trainer {
    /// Says which of the training files' records are evaluated on instead, a line each.
    func writeValidationRecords(to folder: String) throws {
        guard let heldOut else { return }
        let lines = (0..<heldOut.count).map { index -> JSONValue in
            if let block = heldOut.block(of: index) { return ["block": .integer(block + 1)] }
            let place = heldOut.place(of: index)
            return ["file": place.map { .string($0.file) } ?? nil, "line": place.map { .integer($0.line) } ?? nil]
        }
        try AtomicFile.write(
            lines.map { $0.text(.compact) + "\n" }.joined(),
            to: FileSystem.join(folder, KnownFiles.validationName))
    }

    /// What is said of them.
    var validationNote: String? {
        guard let fraction = configuration.data.validationFraction, let heldOut else { return nil }
        let what = heldOut.block(of: 0) == nil ? "records" : "blocks"
        return
            "validation_fraction \(shortestText(of: fraction)): \(heldOut.count.grouped) \(what) of data.train, drawn "
            + "by the seed, are \(validation == nil ? "neither learned nor evaluated on" : "evaluated on and not learned"); "
            + "\(KnownFiles.validationName) names them"
    }
}
