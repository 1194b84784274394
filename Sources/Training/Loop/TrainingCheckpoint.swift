import Checkpoints
import Configuration
import Diagnostics
import Files
import Glibc
import JSONText
import Methods
import Models
import Tensors

/// What a run remembers besides its parameters and moments.
struct TrainingProgress: Equatable {
    var step = 0
    var tokens = 0
    var elapsedSeconds = 0.0
    /// The time in which no other step fitted, where the run ended by that.
    var exhaustedSeconds: Double?
    /// The sums of the steps since the last logged one.
    var pendingLossSum = 0.0
    var pendingTargets = 0
    /// The size of the data set, on which the order of the data depends.
    var exampleCount: Int?
    /// The processes that train together.
    var rankCount = 1
    var best = BestRecord()
    /// Where the learning rate stands, where it waits for the validation loss.
    var plateau: PlateauState?
}

/// A checkpoint, `checkpoints/step-N`: the method's delivery, so that it can be used as it is, and everything that a run
/// needs to go on bit for bit. Batches and random choices follow from the seed and the step, so none are stored.
enum TrainingCheckpoint {
    static let stateName = "training_state.json"
    private static let exhaustedKey = "exhausted_seconds"
    static let tensorsName = "training_state.safetensors"

    static func folder(_ outputFolder: String) -> String { FileSystem.join(outputFolder, "checkpoints") }

    /// The steps of which the output folder holds checkpoints, ascending.
    static func steps(in outputFolder: String) throws -> [Int] {
        let folder = folder(outputFolder)
        guard FileSystem.isFolder(folder) else { return [] }
        return try FileSystem.names(in: folder).compactMap { name in
            guard let step = Int(name.dropFirst("step-".count)), name == "step-\(step)" else { return nil }
            return step
        }.sorted()
    }

    static func path(_ outputFolder: String, step: Int) -> String {
        FileSystem.join(folder(outputFolder), "step-\(step)")
    }

    /// What a checkpoint is written of.
    struct Content {
        let progress: TrainingProgress
        let installation: any Installation
        let optimizer: any Optimizer
        let fingerprints: RunFingerprints
        /// The run's, so that the checkpoint can be used with its templates.
        let configuration: String
    }

    /// Writes a checkpoint, which appears as a whole, and removes those that the rule doesn't keep.
    static func write(
        _ content: Content, delivery: DeliveryWriter, to outputFolder: String, keeping rule: CheckpointKeeping,
        warn: WarningSink
    ) throws -> String {
        let progress = content.progress
        let path = path(outputFolder, step: progress.step)
        let staged = try StagedFolder(path: path, replacing: true)
        try staged.fill {
            try delivery.write(content.installation.deliver(), to: staged.stagingPath)
            try SafetensorsWriter.write(
                content.optimizer.state.outgoing
                    + methodState(content.installation).map { OutgoingTensor($0.name, $0.tensor, as: .float32) },
                to: staged.path(of: tensorsName))
            try AtomicFile.write(content.configuration, to: staged.path(of: RunFolder.configurationName))
            let members = json(progress) + content.fingerprints.members + rule.members
            try CheckpointSeal.write(members, in: staged.stagingPath)
        }
        try staged.commit()
        for step in rule.removable(
            of: try steps(in: outputFolder), in: outputFolder, written: progress.step, best: progress.best.step)
        {
            let old = self.path(outputFolder, step: step)
            if let foreign = try foreignName(in: old, base: delivery.base.folder) {
                warn(
                    Problem(
                        "holds '\(foreign)', which no run has written, and is kept beyond \(rule.name)",
                        file: old,
                        severity: .warning))
            } else {
                try removeWhole(old)
            }
        }
        return path
    }

    /// A name in the folder of a checkpoint that no run has written there; nil where all is a run's.
    static func foreignName(in path: String, base: String) throws -> String? {
        if FileSystem.isLink(path) || !FileSystem.isFolder(path) { return nil }
        return try FileSystem.names(in: path).first { name in
            let file = FileSystem.join(path, name)
            return !(KnownFiles.isOurs(name) && FileSystem.isFile(file)) && !isModelFile(name, in: path, base: base)
        }
    }

    /// Removes a folder under the name of an unfinished one, so that no part of it is ever taken for the whole.
    static func removeWhole(_ path: String) throws {
        let (folder, name) = FileSystem.split(path)
        let doomed = FileSystem.join(folder, ".\(name).partial")
        try FileSystem.remove(doomed)
        if rename(path, doomed) != 0 {
            if errno == ENOENT { return }
            throw Problem(
                "can't be removed: \(String(cString: strerror(errno)))", file: path, exitStatus: .inputOutput)
        }
        try FileSystem.remove(doomed)
    }

    /// Puts parameters and moments back to what they were when the checkpoint was written.
    ///
    /// - Parameters:
    ///   - stepCount: The steps of the whole run.
    ///   - check: Is given what the run began with before anything is changed.
    /// - Throws: A `Problem` where a file isn't what was written, which names the newest checkpoint that is whole.
    static func restore(
        from path: String, of model: any Architecture, into installation: any Installation, _ optimizer: any Optimizer,
        stepCount: Int,
        check: (TrainingProgress, RunFingerprints) throws -> Void, warn: WarningSink
    ) throws -> TrainingProgress {
        do {
            try CheckpointSeal.check(path)
        } catch let problem as Problem {
            throw advised(problem, about: path)
        }
        let state = try JSONNode.load(path: FileSystem.join(path, stateName))
        let progress: TrainingProgress
        do {
            progress = try self.progress(state, path, stepCount: stepCount)
        } catch let problem as Problem {
            throw advised(problem, about: path)
        }
        try check(progress, RunFingerprints(state))
        if !installation.resumesFromTrainingStateAlone {
            try restoreParameters(from: path, of: model, into: installation, warn: warn)
        }
        let file = try SafetensorsFile(path: FileSystem.join(path, tensorsName), warn: warn)
        let floats = optimizer.state.floats + methodState(installation)
        let bytes = try storedBytes(optimizer.state, file)
        let found = try file.tensors.filter { bytes[$0.name] == nil }.map { ($0.name, try file.tensor(named: $0.name)) }
        try loadExactly(Dictionary(found, uniquingKeysWith: { first, _ in first }), into: floats, file: file.path)
        for (name, target) in optimizer.state.bytes {
            if let base = bytes[name]?.bytes.baseAddress {
                UnsafeMutableRawPointer(target.data).copyMemory(
                    from: base, byteCount: target.count)
            }
        }
        for (name, tensor) in floats where !sumOfSquares(tensor).isFinite {
            throw advised(
                Problem("holds numbers that are not finite (NaN or infinity)", file: file.path, key: name), about: path)
        }
        optimizer.resume(stepCount: progress.step)
        installation.resumed()
        return progress
    }

    /// Puts what a run delivers back to what it was when the checkpoint was written, and leaves the optimizer alone.
    ///
    /// - Throws: A `Problem` where a file isn't what was written.
    static func restoreResult(
        from path: String, of model: any Architecture, into installation: any Installation, warn: WarningSink
    ) throws {
        try CheckpointSeal.check(path)
        if !installation.resumesFromTrainingStateAlone {
            try restoreParameters(from: path, of: model, into: installation, warn: warn)
        }
        let file = try SafetensorsFile(path: FileSystem.join(path, tensorsName), warn: warn)
        let state = methodState(installation)
        let found = try state.filter { file.entry(named: $0.name) != nil }.map {
            ($0.name, try file.tensor(named: $0.name))
        }
        try loadExactly(Dictionary(found, uniquingKeysWith: { first, _ in first }), into: state, file: file.path)
        installation.resumed()
    }

    /// The counters, which must be possible ones.
    private static func progress(_ state: JSONNode, _ path: String, stepCount: Int) throws -> TrainingProgress {
        // More than any run counts, and less than what integers hold, so that sums and whole seconds stay representable.
        let largest = 1 << 53
        func counter(_ key: String) throws -> Int {
            let value = try state.integer(key)
            if (0...largest).contains(value) { return value }
            throw try state.required(key).problem("can't be \(value)")
        }
        func measure(_ key: String, atLeast least: Double) throws -> Double {
            let value = try state.number(key)
            if value >= least, value <= Double(largest) { return value }
            throw try state.required(key).problem("can't be \(value)")
        }
        var progress = TrainingProgress()
        progress.step = try counter("step")
        let name = FileSystem.split(path).name
        if name != "step-\(progress.step)" {
            throw try state.required("step").problem("is \(progress.step), but the checkpoint is called \(name)")
        }
        if progress.step == 0 || progress.step > stepCount {
            throw try state.required("step").problem("is \(progress.step), but the run has \(stepCount) steps")
        }
        progress.tokens = try counter("tokens")
        progress.elapsedSeconds = try measure("elapsed_seconds", atLeast: 0)
        if try state.optional(exhaustedKey) != nil {
            progress.exhaustedSeconds = try measure(exhaustedKey, atLeast: 0)
        }
        progress.pendingLossSum = try measure("pending_loss_sum", atLeast: -Double(largest))
        progress.pendingTargets = try counter("pending_targets")
        progress.exampleCount = try state.optionalInteger("examples")
        progress.rankCount = try state.optionalInteger("ranks") ?? 1
        progress.best = try BestRecord(state)
        if try state.optional("plateau_rate") != nil {
            var plateau = PlateauState(rate: try measure("plateau_rate", atLeast: 0))
            if try state.optional("plateau_best") != nil {
                plateau.best = try measure("plateau_best", atLeast: -Double(largest))
            }
            plateau.worseCount = try counter("plateau_worse_count")
            plateau.cooldown = try counter("plateau_cooldown")
            // Without it the last evaluation was taken note of before the checkpoint was written.
            plateau.lastStep =
                state.member("plateau_step") == nil ? progress.step : try state.optionalInteger("plateau_step")
            progress.plateau = plateau
        }
        return progress
    }

    /// The same with what to do about a broken checkpoint.
    private static func advised(_ problem: Problem, about path: String) -> Problem {
        let (folder, name) = FileSystem.split(path)
        let output = FileSystem.split(folder).folder
        let others = ((try? steps(in: output)) ?? []).filter { name != "step-\($0)" }.reversed()
        let whole = others.map { self.path(output, step: $0) }.first { other in
            (try? CheckpointSeal.check(other)) != nil
        }
        var problem = problem
        problem.message +=
            whole.map {
                ". The newest checkpoint that is whole is '\($0)': to go on from there remove the broken one "
                    + "(rm -r '\(path)') and give --resume again"
            } ?? ". No other checkpoint is whole: give --overwrite to begin anew"
        return problem
    }

    /// What the method remembers, by name.
    static func methodState(_ installation: any Installation) -> [(name: String, tensor: Tensor)] {
        installation.trainingState.map { ("method." + $0.name, $0.tensor) }
    }

    /// The arrays of bytes that the optimizer remembers, as the file holds them.
    static func storedBytes(
        _ state: OptimizerState, _ file: SafetensorsFile
    ) throws -> [String: RawTensor] {
        var found: [String: RawTensor] = [:]
        var problems: [Problem] = []
        for entry in state.entries where entry.elements == .bytes {
            guard file.entry(named: entry.name) != nil else {
                problems.append(
                    Problem("is missing; shape \(entry.shape) is expected", file: file.path, key: entry.name))
                continue
            }
            let stored = try file.raw(named: entry.name)
            if stored.elementType == .unsigned8, stored.shape == entry.shape {
                found[entry.name] = stored
                continue
            }
            problems.append(
                Problem(
                    "has shape \(stored.shape) of \(stored.elementType), but \(entry.shape) of U8 is expected",
                    file: file.path, key: entry.name))
        }
        if !problems.isEmpty { throw Problems(problems) }
        return found
    }

    private static func restoreParameters(
        from path: String, of model: any Architecture, into installation: any Installation, warn: WarningSink
    ) throws {
        switch installation.deliver() {
        case .adapter:
            try installation.load(AdapterFolder(path: path, warn: warn))
        case .checkpoint:
            let file = try SafetensorsFile(path: FileSystem.join(path, DeliveryWriter.modelName), warn: warn)
            let tensors = try file.tensors.map { tensor in
                (type(of: model).name(ofStored: tensor.name), try file.tensor(named: tensor.name))
            }
            try installation.load(Dictionary(tensors, uniquingKeysWith: { first, _ in first }), file: file.path)
        }
    }

    private static func json(_ progress: TrainingProgress) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("step", .integer(progress.step)), .init("tokens", .integer(progress.tokens)),
            .init("elapsed_seconds", .number(progress.elapsedSeconds)),
            .init("pending_loss_sum", .number(progress.pendingLossSum)),
            .init("pending_targets", .integer(progress.pendingTargets)),
            .init("examples", progress.exampleCount.map(JSONValue.integer) ?? nil),
        ]
        if let seconds = progress.exhaustedSeconds { members.append(.init(exhaustedKey, .number(seconds))) }
        if progress.rankCount > 1 { members.append(.init("ranks", .integer(progress.rankCount))) }
        if let plateau = progress.plateau {
            members += [
                .init("plateau_rate", .number(plateau.rate)),
                .init("plateau_best", plateau.best.map(JSONValue.number) ?? nil),
                .init("plateau_worse_count", .integer(plateau.worseCount)),
                .init("plateau_cooldown", .integer(plateau.cooldown)),
                .init("plateau_step", plateau.lastStep.map(JSONValue.integer) ?? nil),
            ]
        }
        return members + progress.best.members
    }
}
