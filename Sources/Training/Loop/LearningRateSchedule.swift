import Glibc

/// How the learning rate goes over a run, as `transformers` computes it.
public enum LearningRateSchedule: String, CaseIterable, Sendable {
    /// The peak rate throughout, warm-up or not.
    case constant
    case constantWithWarmup = "constant_with_warmup"
    /// Up to the peak in the warm-up steps, then down to 0 in a straight line.
    case linear
    /// Up to the peak in the warm-up steps, then down to 0 by half a period of the cosine.
    case cosine

    /// What the peak rate is multiplied by at `step`, counted from 0, of `total`.
    public func factor(step: Int, warmup: Int, total: Int) -> Double {
        if self == .constant { return 1 }
        if step < warmup { return Double(step) / Double(max(1, warmup)) }
        let share = Double(step - warmup) / Double(max(1, total - warmup))
        return switch self {
        case .constant, .constantWithWarmup: 1
        case .linear: max(0, Double(total - step) / Double(max(1, total - warmup)))
        case .cosine: max(0, 0.5 * (1 + cos(.pi * share)))
        }
    }
}
