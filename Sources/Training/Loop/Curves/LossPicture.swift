public import Charts
import Files

/// The curves of one run's losses, with the learning rate in the back.
public struct LossPicture {
    /// The picture in a run's folder.
    static let fileName = "loss.svg"

    private let metrics: RunMetrics
    private let bestStep: Int?

    /// The keys that it needs.
    static let keys: Set<String> = ["loss", "eval_loss", "learning_rate"]

    /// - Parameter bestStep: The step whose model is the best; nil for that of the lowest validation loss.
    public init(_ metrics: RunMetrics, bestStep: Int?) {
        self.metrics = metrics
        self.bestStep = bestStep
    }

    /// - Parameters:
    ///   - window: How many values the line of the training loss is the mean of; nil for what makes it seen.
    ///   - axis: What it runs over.
    public func chart(title: String, window: Int? = nil, over axis: RunMetrics.Axis = .step) -> Chart {
        let (training, evaluations) = (
            metrics.points(of: "loss", over: axis), metrics.points(of: "eval_loss", over: axis)
        )
        let rates = metrics.points(of: "learning_rate", over: axis)
        var lines: [ChartLine] = []
        // One that stays as it is says nothing.
        let hasRate = Set(rates.map(\.y)).count > 1
        if hasRate {
            lines.append(
                ChartLine("learning rate", rates, color: Self.rateColor, stroke: .dotted, isOnSecondAxis: true))
        }
        let width = window ?? Smoothing.window(for: training)
        if width > 1, training.count > 1 {
            lines.append(ChartLine("training loss", training, color: 0, stroke: .thin))
            lines.append(
                ChartLine("mean of \(width)", Smoothing.means(training, window: width), color: 0))
        } else if !training.isEmpty {
            lines.append(ChartLine("training loss", training, color: 0))
        }
        if !evaluations.isEmpty {
            let best = best(evaluations)
            let word = bestStep == nil ? "lowest" : "the best model"
            let note = best.map { ", \(word) after step \($0.step)" } ?? ""
            lines.append(
                ChartLine(
                    "validation loss" + note, evaluations, color: 1, hasDots: true, mark: best?.point))
        }
        return Chart(
            title: title, x: axis.kind, xTitle: axis.rawValue, lines: lines,
            secondTitle: hasRate ? "learning rate" : nil)
    }

    private func best(_ evaluations: [ChartPoint]) -> (step: Int, point: ChartPoint)? {
        let steps = metrics.steps(of: "eval_loss")
        let known = bestStep.flatMap { step in steps.firstIndex(of: step) }
        let found = known ?? evaluations.indices.min { evaluations[$0].y < evaluations[$1].y }
        guard let found, steps.count == evaluations.count else { return nil }
        return (steps[found], evaluations[found])
    }

    private static let rateColor = 6

    /// Writes the picture into a folder, where there is anything to be seen.
    func write(to folder: String) throws {
        let text = ChartPicture(chart(title: "Loss"), for: .file).svg
        if !text.isEmpty { try AtomicFile.write(text + "\n", to: FileSystem.join(folder, Self.fileName)) }
    }
}

extension RunMetrics.Axis {
    public var kind: ChartAxis.Kind {
        switch self {
        case .step, .tokens: .count
        case .epoch: .number
        case .time: .seconds
        }
    }
}
