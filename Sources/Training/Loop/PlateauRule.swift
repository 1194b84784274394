import Configuration

/// When and how far a rate goes down that waits for the validation loss, as torch's `ReduceLROnPlateau` has it.
public struct PlateauRule: Sendable, Hashable {
    public enum ThresholdMode: String, CaseIterable, Sendable {
        /// By a share of the best loss.
        case relative = "rel"
        case absolute = "abs"
    }

    let factor: Double
    /// The evaluations without a better loss that are put up with.
    let patience: Int
    /// How much lower a loss must be to be better.
    let threshold: Double
    let thresholdMode: ThresholdMode
    /// The evaluations after a reduction that don't count.
    let cooldown: Int
    let leastRate: Double
    /// Changes of the rate that are no larger aren't made.
    let leastChange: Double

    init(_ arguments: ConfigSection) {
        factor = arguments.double("factor", default: 0.1, in: 0..<1)
        patience = arguments.int("patience", default: 10, in: 0...)
        threshold = arguments.double("threshold", default: 1e-4, in: 0...)
        thresholdMode = arguments.choice("threshold_mode", default: .relative)
        cooldown = arguments.int("cooldown", default: 0, in: 0...)
        leastRate = arguments.double("min_lr", default: 0, in: 0...)
        leastChange = arguments.double("eps", default: 1e-8, in: 0...)
        // What is watched is a loss.
        _ = arguments.choice("mode", of: ["min"], default: "min")
    }
}

/// Where a rate stands that waits for the validation loss.
package struct PlateauState: Equatable {
    package private(set) var rate: Double
    /// nil before the first evaluation.
    var best: Double?
    var worseCount = 0
    var cooldown = 0
    /// The step of the last evaluation that was taken note of; nil before the first one.
    var lastStep: Int?

    package init(rate: Double) { self.rate = rate }

    /// Takes note of an evaluation after a step, unless that was done.
    package mutating func evaluated(_ loss: Double, step: Int, _ rule: PlateauRule) {
        if lastStep == step { return }
        lastStep = step
        if isBetter(loss, rule) {
            best = loss
            worseCount = 0
        } else {
            worseCount += 1
        }
        if cooldown > 0 {
            cooldown -= 1
            worseCount = 0
        }
        guard worseCount > rule.patience else { return }
        let lower = max(rate * rule.factor, rule.leastRate)
        if rate - lower > rule.leastChange { rate = lower }
        cooldown = rule.cooldown
        worseCount = 0
    }

    private func isBetter(_ loss: Double, _ rule: PlateauRule) -> Bool {
        guard let best else { return true }
        return switch rule.thresholdMode {
        case .relative: loss < best * (1 - rule.threshold)
        case .absolute: loss < best - rule.threshold
        }
    }
}
