import Checkpoints
import Configuration
import Datasets
import Diagnostics
import Files
import Glibc
public import JSONText
import Methods
import Models
import Tensors

/// What came of repeating a run's steps.
public struct VerificationReport: Sendable {
    public let folder: String
    /// The step from which it went, 0 for the beginning, and the last one repeated.
    public let first: Int
    public let last: Int
    /// How many tensors and logged lines were compared.
    public fileprivate(set) var tensors = 0
    public fileprivate(set) var lines = 0
    /// What of the run's inputs isn't what it was, a sentence each.
    public fileprivate(set) var changes: [String] = []
    /// What came out otherwise.
    public fileprivate(set) var differences: [String] = []
    /// What nothing in the folder tells of, so that it couldn't be compared.
    public fileprivate(set) var unverified: [String] = []

    public var isSame: Bool { differences.isEmpty }

    public var json: JSONValue {
        [
            "run": .string(folder), "first_step": .integer(first), "last_step": .integer(last),
            "same": .boolean(isSame), "tensors": .integer(tensors), "logged_steps": .integer(lines),
            "changes": .array(changes.map(JSONValue.string)), "differences": .array(differences.map(JSONValue.string)),
            "unverified": .array(unverified.map(JSONValue.string)),
        ]
    }

    public var text: String {
        let start = first == 0 ? "the beginning" : "step \(first)"
        let what = "from \(start) to step \(last)"
        let count = "\(tensors) tensors and \(lines) logged losses"
        let rest = unverified.map { "\n  not verified: \($0)" }.joined()
        if isSame {
            return "\(folder): \(what) the same bits: \(count)" + changes.map { "\n  but \($0)" }.joined() + rest
        }
        return "\(folder): \(what) not the same bits, of \(count)"
            + changes.map { "\n  probably because \($0)" }.joined() + differences.map { "\n  \($0)" }.joined() + rest
    }
}

extension Trainer {
    /// Repeats steps of a run that was trained, and compares them with what its folder holds, to the bit. Nothing there is
    /// changed.
    ///
    /// - Parameter count: How many steps at most; nil for those before the newest checkpoint.
    /// - Throws: `Problem` where the folder holds nothing to compare with.
    public static func verify(
        _ folder: String, steps count: Int?, observer: any TrainingObserver
    ) throws -> VerificationReport {
        let file = FileSystem.join(folder, RunFolder.configurationName)
        guard FileSystem.isFile(file) else {
            throw Problem(
                "is no run's output folder: it has no \(RunFolder.configurationName)", file: folder,
                exitStatus: .missingInput)
        }
        let witness = try RunWitness(folder: folder)
        let stretch = try witness.stretch(of: count)
        let place = "training.output_dir=\(ConfigValue.string(folder).flow())"
        let configuration = try RunConfiguration(
            ConfigDocument.load(yamlFile: file, overrides: [place]), warn: observer.warned)
        let trainer = try Trainer(configuration, accepting: [.base, .data], ranks: nil, observer: observer)
        return try trainer.verify(witness, stretch)
    }

    private func verify(_ witness: RunWitness, _ stretch: Range<Int>) throws -> VerificationReport {
        var report = VerificationReport(folder: witness.folder, first: stretch.lowerBound, last: stretch.upperBound)
        try allocateTrialState()
        let fingerprints = RunFingerprints(base, data: DataFingerprint(batches.dataset, isUrgent: true).text)
        let known = witness.checkpoints.first { $0 >= stretch.upperBound } ?? witness.checkpoints.last
        if let known {
            let path = TrainingCheckpoint.path(witness.folder, step: known)
            let state = try JSONNode.load(path: FileSystem.join(path, TrainingCheckpoint.stateName))
            if let count = try state.optionalInteger("ranks"), count > 1 {
                throw Problem(
                    "was trained by \(count) processes together, whose steps one can't repeat", file: witness.folder)
            }
            report.changes = try fingerprints.changes(from: RunFingerprints(state)) + settingsChanged(since: path)
        }
        let comparesResult = known == nil && isComparable(witness, after: stretch.upperBound)
        if known == nil {
            report.changes = try resultChanges(witness)
            report.unverified = unverified(witness, stretch, comparesResult: comparesResult)
        }
        var progress = TrainingProgress()
        if stretch.lowerBound > 0 {
            progress = try TrainingCheckpoint.restore(
                from: TrainingCheckpoint.path(witness.folder, step: stretch.lowerBound), of: base.model,
                into: installation, optimizer, stepCount: stepCount, check: { _, _ in }, warn: observer.warned)
        }
        if let count = progress.exampleCount, count != batches.dataset.count {
            throw Problem(
                "the training data had \(count) examples when the run began and has \(batches.dataset.count) now, so that its "
                    + "steps can't be repeated", file: witness.folder)
        }
        if settings.schedule.plateau != nil, progress.plateau == nil {
            progress.plateau = PlateauState(rate: settings.learningRate)
        }
        try decideSharing()
        try makeHiddenStateStore(in: FileSystem.temporaryFolder)
        while progress.step < stretch.upperBound {
            let result = try takeStep(progress.step, plateau: progress.plateau)
            progress.step += 1
            if let rule = settings.schedule.plateau, let loss = witness.evaluations[progress.step] {
                progress.plateau?.evaluated(loss, step: progress.step, rule)
            }
            progress.tokens += result.tokenCount
            progress.pendingLossSum += result.lossSum
            progress.pendingTargets += result.targetCount
            observer.progressed(
                step: progress.step, of: stretch.upperBound, loss: result.loss, tokensPerSecond: .nan, secondsLeft: .nan
            )
            guard let line = witness.logged[progress.step] else { continue }
            report.lines += 1
            let ours: [(key: String, value: Double)] = [
                ("loss", progress.pendingLossSum / Double(max(1, progress.pendingTargets))),
                ("grad_norm", result.gradientNorm), ("learning_rate", result.learningRate),
                ("tokens", Double(progress.tokens)),
            ]
            for (key, value) in ours {
                let theirs = try line.number(key)
                if theirs != value {
                    report.differences.append(
                        "step \(progress.step): \(key) was \(shortestText(of: theirs)) and is \(shortestText(of: value))"
                    )
                }
            }
            (progress.pendingLossSum, progress.pendingTargets) = (0, 0)
        }
        if witness.checkpoints.contains(stretch.upperBound) {
            try compare(with: TrainingCheckpoint.path(witness.folder, step: stretch.upperBound), &report)
        } else if comparesResult {
            try compareResult(with: witness.folder, &report)
        }
        return report
    }

    /// Settings that are others than when a checkpoint was written, of those on which numbers depend.
    private func settingsChanged(since checkpoint: String) throws -> [String] {
        let file = FileSystem.join(checkpoint, RunFolder.configurationName)
        guard FileSystem.isFile(file) else { return [] }
        let before = RunFolder.leaves(try ConfigDocument.load(yamlFile: file).node)
        let now = RunFolder.leaves(try ConfigDocument.parse(yaml: configuration.resolvedYAML).node)
        return Set(before.keys).union(now.keys).subtracting(RunFolder.harmless).sorted()
            .filter { before[$0] != now[$0] }
            .map { "\($0) was \(before[$0] ?? "absent") and is \(now[$0] ?? "absent") now" }
    }

    /// Compares all that a checkpoint holds with what is in memory.
    private func compare(with checkpoint: String, _ report: inout VerificationReport) throws {
        try CheckpointSeal.check(checkpoint)
        let state = try SafetensorsFile(
            path: FileSystem.join(checkpoint, TrainingCheckpoint.tensorsName), warn: observer.warned)
        try compare(optimizer.state.floats + TrainingCheckpoint.methodState(installation), with: state, &report)
        let stored = try TrainingCheckpoint.storedBytes(optimizer.state, state)
        for (name, bytes) in optimizer.state.bytes {
            report.tensors += 1
            let isSame = stored[name].map { $0.bytes.elementsEqual(bytes.bytes) } ?? false
            if !isSame { report.differences.append("\(name): the bytes are others") }
        }
        try compareResult(with: checkpoint, &report)
    }

    /// Compares what the method delivers now with what a folder holds.
    private func compareResult(with folder: String, _ report: inout VerificationReport) throws {
        // As it would be written, in a folder that is gone afterwards.
        let temporary = FileSystem.join(FileSystem.temporaryFolder, "peft-verify-\(getpid())")
        let staged = try StagedFolder(path: temporary)
        try DeliveryWriter(base: base, chat: chat).write(installation.deliver(), to: staged.stagingPath)
        for name in try FileSystem.names(in: staged.stagingPath) where name.hasSuffix(".safetensors") {
            let written = try SafetensorsFile(path: staged.path(of: name), warn: { _ in })
            let stored = try SafetensorsFile(path: FileSystem.join(folder, name), warn: observer.warned)
            try compare(
                written.tensors.map { ($0.name, try written.tensor(named: $0.name)) }, with: stored, &report)
        }
    }

    private func compare(
        _ tensors: [(name: String, tensor: Tensor)], with file: SafetensorsFile, _ report: inout VerificationReport
    ) throws {
        for (name, tensor) in tensors {
            report.tensors += 1
            guard file.entry(named: name) != nil else {
                report.differences.append("\(name): isn't in \(file.path)")
                continue
            }
            let stored = try file.tensor(named: name)
            guard stored.shape == tensor.shape else {
                report.differences.append("\(name): has shape \(stored.shape) there, and \(tensor.shape) here")
                continue
            }
            var (count, most) = (0, Float(0))
            for index in 0..<tensor.count where tensor.data[index].bitPattern != stored.data[index].bitPattern {
                count += 1
                most = max(most, abs(tensor.data[index] - stored.data[index]))
            }
            if count > 0 {
                report.differences.append("\(name): \(count) of \(tensor.count) numbers differ, by up to \(most)")
            }
        }
    }
}

/// What a run without checkpoints can be compared by.
extension Trainer {
    /// Whether what the run delivered is of that step.
    private func isComparable(_ witness: RunWitness, after step: Int) -> Bool {
        witness.hasResult && step == witness.lastStep && !settings.best.isDelivered
    }

    /// What of the base isn't what it was, as the result itself tells it.
    private func resultChanges(_ witness: RunWitness) throws -> [String] {
        guard FileSystem.isFile(FileSystem.join(witness.folder, AdapterFolder.configurationName)) else { return [] }
        let adapter = try AdapterFolder(path: witness.folder, warn: observer.warned)
        return [AdapterFingerprints(adapter).difference(from: base)].compactMap { $0 }
    }

    private func unverified(_ witness: RunWitness, _ stretch: Range<Int>, comparesResult: Bool) -> [String] {
        let inputs = configuration.deliversModel || !witness.hasResult ? "the base model and the data" : "the data"
        var found = [
            "the optimizer's state, and whether \(inputs) are what they were: only checkpoints tell, and the run has none"
        ]
        if comparesResult { return found }
        if !witness.hasResult {
            found.append("a result: the run has delivered none")
        } else if settings.best.isDelivered {
            found.append("the result: it is that of the best evaluation, and which step that is only checkpoints tell")
        } else {
            found.append("the result: it is that of step \(witness.lastStep ?? stretch.upperBound)")
        }
        return found
    }
}

extension RunFingerprints {
    /// What is different from what it was, as clauses.
    fileprivate func changes(from before: RunFingerprints) -> [String] {
        var found = differences(from: before).map(\.text)
        if let old = before.kernels, let kernels, kernels != old {
            found.append("the products were computed by \(old) and are by \(kernels) now")
        }
        return found
    }
}
