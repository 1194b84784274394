import Configuration
import Datasets
import Diagnostics
import Layers
import Methods
import Models

/// What the `training` section of a configuration says of hidden states that are kept.
public struct HiddenStateSettings: Sendable, Hashable {
    enum Keeping: String, CaseIterable, Sendable { case auto, off }

    let keeping: Keeping
    /// How many bytes of them may be in memory; nil for a share of what is free.
    let memoryLimit: Int?
    /// The folder for the scratch file of the others; nil for the run's.
    let scratchFolder: String?

    init(_ section: ConfigSection) {
        keeping = section.choice("keep_hidden_states", default: Keeping.auto)
        memoryLimit = section.optionalDouble("hidden_states_memory", in: 0...).map { Int(clamping: $0 * 1e9) }
        scratchFolder = section.optionalPath("hidden_states_dir")
    }
}

/// What a run keeps of the hidden states below what trains, as far as that shows before its first step.
struct HiddenStatePlan {
    let place: StatePlace
    /// Of the states.
    let width: Int
    /// The rows of the training data; 0 where none of them are kept.
    private(set) var trainingRows = 0
    /// The rows of the validation data, at most; 0 where none of them are kept.
    private(set) var validationRows = 0
    /// How much of them may be in memory; the rest is in a scratch file.
    let memoryLimit: Int
    /// Why those of the training data aren't kept, though they would save something.
    private(set) var obstacle: String?
    private let hasLabels: Bool

    /// nil where nothing is to be kept, or nothing can be that saves anything.
    ///
    /// - Parameters:
    ///   - validation: The validation data; nil where none are evaluated.
    ///   - batchCount: The micro-batches of an epoch.
    init?(
        _ model: any LanguageModel, training: Dataset, validation: Dataset?, batchCount: Int,
        _ settings: TrainingSettings
    ) {
        if settings.hiddenStates.keeping == .off { return nil }
        let stepsPerEpoch = settings.stepsPerEpoch(batches: batchCount)
        let stepCount = settings.stepCount(batches: batchCount)
        let isRepeated = stepCount > stepsPerEpoch
        let isEvaluatedAgain = settings.evaluationCount(steps: stepCount, stepsPerEpoch: stepsPerEpoch) > 1
        let validation = isEvaluatedAgain ? validation : nil
        guard isRepeated || validation != nil, let place = model.trainedPlace else { return nil }
        self.place = place
        width = model.promptShape.width
        hasLabels = training.hasLabels
        memoryLimit =
            settings.hiddenStates.memoryLimit ?? (ProcessMemory.freeBytes ?? Int(clamping: machineMemory)) / 2
        if let validation { validationRows = Self.rows(of: validation, at: place) }
        guard isRepeated else { return }
        let dropouts = model.dropoutKeys
        if settings.noiseAlpha > 0 {
            obstacle =
                "hidden states of the training data aren't kept, because neftune_noise_alpha makes others of a record each "
                + "time: without it epochs after the first would skip \(skipped)"
        } else if dropouts.isEmpty {
            trainingRows = Self.rows(of: training, at: place)
        } else {
            let keys =
                dropouts.count == 1
                ? dropouts[0] : dropouts.dropLast().joined(separator: ", ") + " and " + dropouts.last!
            obstacle =
                "hidden states of the training data aren't kept, because dropout makes others of a record each time: with "
                + "\(keys) of config.json at 0, epochs after the first would skip \(skipped)"
        }
    }

    private static func rows(of dataset: Dataset, at place: StatePlace) -> Int {
        let counts = dataset.counts
        let own = place.isBehindBlocks ? counts.targetTokens : counts.rows
        return (place.hasOwn ? own : 0) + (place.hasSources ? counts.sourceRows : 0)
    }

    var keepsTraining: Bool { trainingRows > 0 }
    var keepsValidation: Bool { validationRows > 0 }
    var rowCount: Int { trainingRows + validationRows }
    var byteCount: Int { rowCount * width * 4 }
    var ordinaryBytes: Int { min(memoryLimit, byteCount) }
    var scratchBytes: Int { byteCount - ordinaryBytes }

    /// What is kept, or why it isn't, in a line or two for people.
    var notes: [String] { [obstacle, summary].compactMap { $0 } }

    private var summary: String? {
        guard rowCount > 0 else { return nil }
        let things = hasLabels && place.isBehindBlocks ? "texts" : "tokens"
        let what =
            keepsTraining
            ? "\(trainingRows.grouped) \(things)"
                + (keepsValidation ? " and \(validationRows.grouped) of validation" : "")
            : "the validation data's \(validationRows.grouped) \(things)"
        let memory =
            scratchBytes == 0
            ? Self.size(byteCount)
            : ordinaryBytes == 0
                ? "\(Self.size(byteCount)) in a scratch file"
                : "\(Self.size(byteCount)), \(Self.size(scratchBytes)) of them in a scratch file"
        return "hidden states of \(what) under \(upper) are kept: \(memory); "
            + (keepsTraining ? "epochs" : "evaluations") + " after the first skip \(skipped)"
    }

    private static func size(_ bytes: Int) -> String {
        let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)]
        guard let (unit, scale) = units.first(where: { Double(bytes) >= $0.1 }) else { return "\(bytes) bytes" }
        let value = Double(bytes) / scale
        let tenths = Int((value * 10).rounded())
        return value < 10 ? "\(tenths / 10).\(tenths % 10) \(unit)" : "\(Int(value.rounded())) \(unit)"
    }

    /// The lowest part that is computed anew each time.
    private var upper: String {
        if let block = place.encoderBlock, block <= place.encoderBlockCount {
            return block == place.encoderBlockCount ? "the encoder's norm" : "block \(block) of the encoder"
        }
        if place.block > place.blockCount { return "the head" }
        if place.block == place.blockCount { return "the final norm" }
        if place.encoderBlock == nil { return "block \(place.block)" }
        return place.block == 0 ? "the decoder" : "block \(place.block) of the decoder"
    }

    private var skipped: String {
        func blocks(_ count: Int, of all: Int) -> String {
            count >= all ? "all \(all) blocks" : "\(count) of \(all) blocks"
        }
        let own = blocks(place.block, of: place.blockCount)
        guard let block = place.encoderBlock else { return own }
        if block <= place.encoderBlockCount { return blocks(block, of: place.encoderBlockCount) + " of the encoder" }
        return "the encoder" + (place.block == 0 ? "" : " and \(own) of the decoder")
    }
}
