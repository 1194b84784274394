import Configuration
import Glibc

/// How the learning rate goes over a run, as `transformers` computes it.
public struct LearningRateSchedule: Sendable, Hashable {
    public enum Kind: String, CaseIterable, Sendable {
        /// The peak rate throughout, warm-up or not.
        case constant
        case constantWithWarmup = "constant_with_warmup"
        /// Up to the peak in the warm-up steps, then down to 0 in a straight line.
        case linear
        /// Up to the peak in the warm-up steps, then down to 0 by half a period of the cosine.
        case cosine
        /// The same, several times.
        case cosineWithRestarts = "cosine_with_restarts"
        /// As `cosine`, down to a rate above 0.
        case cosineWithLeast = "cosine_with_min_lr"
        /// The same a step earlier, so that the first step has a rate above 0 and the last one the least.
        case cosineWarmupWithLeast = "cosine_warmup_with_min_lr"
        /// Down to a rate by a power of what is left of the run.
        case polynomial
        /// Down by the root of the steps.
        case inverseSquareRoot = "inverse_sqrt"
        /// The peak rate for long, and down at the end.
        case warmupStableDecay = "warmup_stable_decay"
        /// Down whenever the validation loss has stopped falling.
        case reduceOnPlateau = "reduce_lr_on_plateau"
    }

    /// The ways of `warmup_stable_decay` up and down.
    public enum Curve: String, CaseIterable, Sendable {
        case linear, cosine
        case root = "1-sqrt"
    }

    public let kind: Kind
    /// Periods of the cosine, or with restarts times that it starts anew.
    var cycles = 0.5
    /// What the rate ends at, of the peak.
    var least = 0.0
    /// What a warm-up begins at, of the peak; nil for one step's share.
    var start: Double?
    var power = 1.0
    /// The steps over which `inverse_sqrt` takes the root; nil for those of the warm-up.
    var timescale: Int?
    var stableSteps: Int?
    var decaySteps = 0
    var warmupCurve = Curve.linear
    var decayCurve = Curve.cosine
    public let plateau: PlateauRule?

    /// One that `lr_scheduler_kwargs` says nothing of.
    public init(_ kind: Kind) { (self.kind, plateau) = (kind, nil) }

    /// Reads `lr_scheduler_type` and what belongs to it of `lr_scheduler_kwargs`.
    ///
    /// - Parameter rate: The peak, for what is told as a rate of its own.
    init(_ section: ConfigSection, learningRate rate: Double) {
        kind = section.choice("lr_scheduler_type", default: Kind.linear)
        let arguments = section.section("lr_scheduler_kwargs")
        plateau = kind == .reduceOnPlateau ? PlateauRule(arguments) : nil
        switch kind {
        case .constant, .constantWithWarmup, .linear, .reduceOnPlateau: break
        case .cosine: cycles = Self.cycles(arguments)
        case .cosineWithRestarts: cycles = Self.cycles(arguments, default: 1)
        case .cosineWithLeast:
            cycles = Self.cycles(arguments)
            least = Self.least(arguments, rate)
        case .cosineWarmupWithLeast:
            cycles = Self.cycles(arguments)
            least = Self.least(arguments, rate)
            start = arguments.optionalDouble("warmup_lr_rate", in: 0...1)
        case .polynomial:
            let end = arguments.double("lr_end", default: 1e-7, in: 0...)
            power = arguments.double("power", default: 1, in: Above(0))
            if end >= rate, rate > 0 {
                arguments.record(
                    "must be less than training.learning_rate, which is \(rate), and is \(end)", at: "lr_end")
            }
            least = rate > 0 ? end / rate : 0
        case .inverseSquareRoot: timescale = arguments.optionalInt("timescale", in: 1...Self.most)
        case .warmupStableDecay:
            decaySteps = arguments.requiredInt("num_decay_steps", in: 0...Self.most)
            stableSteps = arguments.optionalInt("num_stable_steps", in: 0...Self.most)
            warmupCurve = arguments.choice("warmup_type", default: .linear)
            decayCurve = arguments.choice("decay_type", default: .cosine)
            least = arguments.double("min_lr_ratio", default: 0, in: 0...1)
            cycles = Self.cycles(arguments)
        }
    }

    private static let most = Int(Int32.max)

    private static func cycles(_ arguments: ConfigSection, default value: Double = 0.5) -> Double {
        arguments.double("num_cycles", default: value, in: Above(0))
    }

    private static func least(_ arguments: ConfigSection, _ rate: Double) -> Double {
        let (least, share) = (
            arguments.optionalDouble("min_lr", in: 0...), arguments.optionalDouble("min_lr_rate", in: 0...1)
        )
        switch (least, share) {
        case (nil, nil):
            if !arguments.has("min_lr"), !arguments.has("min_lr_rate") {
                arguments.record("missing: give this, or min_lr_rate as a share of the peak", at: "min_lr")
            }
            return 0
        case (let least?, nil): return rate > 0 ? least / rate : 0
        case (nil, let share?): return share
        case (_?, _?):
            arguments.record("doesn't go with min_lr_rate: give one of them", at: "min_lr")
            return 0
        }
    }

    /// What the peak rate is multiplied by at `step`, counted from 0, of `total`; of a plateau's schedule nothing is known
    /// before, and it is 1.
    public func factor(step: Int, warmup: Int, total: Int) -> Double {
        switch kind {
        case .constant, .reduceOnPlateau: return 1
        case .warmupStableDecay: return stableFactor(step: step, warmup: warmup, total: total)
        case .cosineWarmupWithLeast: return earlyFactor(step: step, warmup: warmup, total: total)
        default: break
        }
        if step < warmup { return Double(step) / Double(max(1, warmup)) }
        let share = Double(step - warmup) / Double(max(1, total - warmup))
        return switch kind {
        case .linear: max(0, Double(total - step) / Double(max(1, total - warmup)))
        case .cosine: max(0, 0.5 * (1 + cos(.pi * cycles * 2 * share)))
        case .cosineWithRestarts:
            share >= 1 ? 0 : max(0, 0.5 * (1 + cos(.pi * (cycles * share).truncatingRemainder(dividingBy: 1))))
        case .cosineWithLeast: above(least, 0.5 * (1 + cos(.pi * cycles * 2 * share)))
        case .polynomial:
            step > total ? least : (1 - least) * pow(max(0, 1 - share), power) + least
        case .inverseSquareRoot: inverseSquareRoot(step, warmup)
        default: 1
        }
    }

    private func above(_ least: Double, _ factor: Double) -> Double { max(0, factor * (1 - least) + least) }

    private func inverseSquareRoot(_ step: Int, _ warmup: Int) -> Double {
        let scale = Double(timescale ?? (warmup == 0 ? 10_000 : warmup))
        return 1 / ((Double(step) + (scale - Double(warmup))) / scale).squareRoot()
    }

    private func earlyFactor(step: Int, warmup: Int, total: Int) -> Double {
        if step < warmup {
            guard let start else { return Double(step + 1) / Double(max(1, warmup)) }
            return start + (1 - start) * Double(step) / Double(max(1, warmup - 1))
        }
        let share = Double(step - warmup + 1) / Double(max(1, total - warmup))
        return above(least, 0.5 * (1 + cos(.pi * cycles * 2 * share)))
    }

    private func stableFactor(step: Int, warmup: Int, total: Int) -> Double {
        if step < warmup {
            let share = Double(step) / Double(max(1, warmup))
            let factor =
                switch warmupCurve {
                case .linear: share
                case .cosine: 0.5 * (1 - cos(.pi * share))
                case .root: 1 - (1 - share).squareRoot()
                }
            return above(least, factor)
        }
        let stable = stableSteps ?? total - warmup - decaySteps
        if step < warmup + stable { return 1 }
        guard step < warmup + stable + decaySteps else { return least }
        let share = Double(step - warmup - stable) / Double(max(1, decaySteps))
        let factor =
            switch decayCurve {
            case .linear: 1 - share
            case .cosine: 0.5 * (1 + cos(.pi * cycles * 2 * share))
            case .root: 1 - share.squareRoot()
            }
        return above(least, factor)
    }
}
