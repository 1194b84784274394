import Diagnostics

/// How well classes were told, as scikit-learn computes it: a measure whose denominator is 0 is 0.
public struct ClassificationScores: Sendable, Hashable {
    /// How well one class was told.
    public struct Class: Sendable, Hashable {
        /// The share of the answers with this class that are right.
        public let precision: Double
        /// The share of the texts of this class that were told so.
        public let recall: Double
        /// 2 tp / (2 tp + fp + fn)
        public let f1: Double
        /// The texts of this class.
        public let support: Int
    }

    /// The most classes for which pairs are counted.
    public static let largestConfusion = 20

    /// Each class by its number.
    public let classes: [Class]
    /// How often each true class, the row, was told as each class, the column; nil for many classes.
    public let confusion: [[Int]]?
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
        require(
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
        func share(_ part: Int, _ whole: Int) -> Double { whole == 0 ? 0 : Double(part) / Double(whole) }
        classes = (0..<classCount).map { index in
            Class(
                precision: share(hits[index], answers[index]), recall: share(hits[index], truths[index]),
                f1: share(2 * hits[index], answers[index] + truths[index]), support: truths[index])
        }
        if classCount <= Self.largestConfusion {
            var pairs = [[Int]](repeating: [Int](repeating: 0, count: classCount), count: classCount)
            for (answer, truth) in zip(predicted, expected) { pairs[truth][answer] += 1 }
            confusion = pairs
        } else {
            confusion = nil
        }
        let total = Double(expected.count)
        let right = Double(hits.reduce(0, +))
        let f1 = classes.map(\.f1)
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
