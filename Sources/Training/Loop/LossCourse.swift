/// What `metrics.jsonl` tells of a run's losses from its first step on, interruptions or not.
struct LossCourse {
    struct Point {
        let step: Int
        let loss: Double
    }

    private(set) var first: Point?
    private(set) var last: Point?
    private(set) var firstEvaluation: Point?
    private(set) var bestEvaluation: Point?
    private(set) var lastEvaluation: Point?
    /// A task's measures in the last evaluation.
    private(set) var scores: [NamedScore] = []

    init(folder: String) throws {
        for line in try MetricsLine.all(in: folder) {
            if let loss = line.loss {
                last = Point(step: line.step, loss: loss)
                first = first ?? last
            }
            guard let evaluation = line.evaluation else { continue }
            let point = Point(step: evaluation.step, loss: evaluation.loss)
            lastEvaluation = point
            firstEvaluation = firstEvaluation ?? point
            if point.loss < bestEvaluation?.loss ?? .infinity { bestEvaluation = point }
            scores = evaluation.scores.filter { $0.value != nil }
        }
    }
}
