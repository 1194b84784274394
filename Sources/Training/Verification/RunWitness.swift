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
        var logged: [Int: JSONNode] = [:]
        var evaluations: [Int: Double] = [:]
        for line in try MetricsLine.all(in: folder) {
            if line.loss != nil { logged[line.step] = line.node }
            if let evaluation = line.evaluation { evaluations[line.step] = evaluation.loss }
        }
        self.logged = logged
        self.evaluations = evaluations
    }

    /// Whether it holds what the run delivered.
    var hasResult: Bool { DeliveryWriter.marks.contains { FileSystem.isFile(FileSystem.join(folder, $0)) } }

    /// The last step that is told of.
    var lastStep: Int? { checkpoints.last ?? logged.keys.max() }

    /// The steps to repeat: from a checkpoint, or the beginning, up to the newest checkpoint, or the last logged step where
    /// there is none, or, where that is more than `count` steps, as far as those go.
    ///
    /// - Throws: `Problem` where the folder tells nothing of any of them.
    func stretch(of count: Int?) throws -> Range<Int> {
        guard let newest = lastStep else {
            throw Problem(
                "holds neither a checkpoint nor, in \(MetricsLog.fileName), the loss of a step, with which repeated ones could "
                    + "be compared: a run keeps checkpoints with training.save_steps", file: folder)
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
