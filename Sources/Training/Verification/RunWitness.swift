import Diagnostics
import Files
import JSONText

/// What a run's folder says of its steps, to compare a repetition with.
struct RunWitness {
    let folder: String
    /// Of which there are checkpoints, ascending.
    let checkpoints: [Int]
    /// The lines of metrics.jsonl that tell the loss of a step, by the step.
    let logged: [Int: JSONNode]
    /// The validation losses, by the step behind which they were measured.
    let evaluations: [Int: Double]

    init(folder: String) throws {
        self.folder = folder
        checkpoints = try TrainingCheckpoint.steps(in: folder)
        let path = FileSystem.join(folder, MetricsLog.fileName)
        var logged: [Int: JSONNode] = [:]
        var evaluations: [Int: Double] = [:]
        if FileSystem.isFile(path) {
            for (index, line) in try FileSystem.text(of: path).split(separator: "\n").enumerated() {
                let node = try Array(line.utf8).withUnsafeBytes { try JSONNode.parse($0, file: path, line: index + 1) }
                if try node.optionalNumber("loss") != nil { logged[try node.integer("step")] = node }
                if let loss = try node.optionalNumber("eval_loss") { evaluations[try node.integer("step")] = loss }
            }
        }
        self.logged = logged
        self.evaluations = evaluations
    }

    /// The steps to repeat: from a checkpoint, or the beginning, up to the newest checkpoint or, where that is more than
    /// `count` steps, as far as those go.
    ///
    /// - Throws: `Problem` where the folder tells nothing of any of them.
    func stretch(of count: Int?) throws -> Range<Int> {
        guard let newest = checkpoints.last else {
            throw Problem(
                "holds no checkpoint to repeat steps up to: a run keeps some with training.save_steps", file: folder)
        }
        let starts = [0] + checkpoints.dropLast()
        guard let count else { return (starts.last ?? 0)..<newest }
        // The nearest to the end of those from which it can be reached, or else the last before it.
        if let start = starts.first(where: { newest - $0 <= count }) { return start..<newest }
        let start = starts.last ?? 0
        let end = start + count
        if logged.keys.contains(where: { $0 > start && $0 <= end }) { return start..<end }
        let first = logged.keys.filter { $0 > start }.min() ?? newest
        throw Problem(
            "tells nothing of the \(count == 1 ? "step" : "\(count) steps") behind step \(start): the first of which it tells is "
                + "step \(first); give --steps \(first - start) or more", file: folder, exitStatus: .usage)
    }
}
