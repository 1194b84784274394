/// How well classes were told, as scikit-learn computes it: a measure whose denominator is 0 is 0.
public struct ClassificationScores: Sendable, Hashable {
    /// The share of right answers.
    public let accuracy: Double
    /// F1 of class 1, 2 tp / (2 tp + fp + fn); nil where there are not just two classes.
    public let binaryF1: Double?
    /// The mean of the classes' F1, of those that occur among the answers or the truth.
    public let macroF1: Double
    /// F1 of all decisions together, which is the accuracy where each text has one class.
    public let microF1: Double
    /// The mean of the classes' F1, each weighted by how often it is true.
    public let weightedF1: Double
    /// Matthews' correlation coefficient, for several classes as Gorodkin (2004) has it.
    public let matthewsCorrelation: Double

    /// Compares classes 0 ..< `classCount`, at least one pair.
    public init(predicted: [Int], expected: [Int], classCount: Int) {
        precondition(
            !expected.isEmpty && predicted.count == expected.count,
            "ClassificationScores: \(predicted.count) answers for \(expected.count) texts")
        var hits = [Int](repeating: 0, count: classCount)
        var answers = hits
        var truths = hits
        for (answer, truth) in zip(predicted, expected) {
            answers[answer] += 1
            truths[truth] += 1
            if answer == truth { hits[truth] += 1 }
        }
        let total = Double(expected.count)
        let right = Double(hits.reduce(0, +))
        let f1 = (0..<classCount).map { index in
            let both = answers[index] + truths[index]
            return both == 0 ? 0 : 2 * Double(hits[index]) / Double(both)
        }
        let occurring = (0..<classCount).filter { answers[$0] + truths[$0] > 0 }
        accuracy = right / total
        binaryF1 = classCount == 2 ? f1[1] : nil
        macroF1 = occurring.reduce(0) { $0 + f1[$1] } / Double(occurring.count)
        microF1 = accuracy
        weightedF1 = occurring.reduce(0) { $0 + f1[$1] * Double(truths[$1]) } / total
        func products(_ a: [Int], _ b: [Int]) -> Double { zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) } }
        let covariance = right * total - products(answers, truths)
        let spreads = (total * total - products(answers, answers)) * (total * total - products(truths, truths))
        matthewsCorrelation = spreads > 0 ? covariance / spreads.squareRoot() : 0
    }
}
