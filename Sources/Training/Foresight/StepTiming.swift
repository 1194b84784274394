import Batches
import Datasets
import Diagnostics
import Layers
import Models
import Tensors

/// Tells how long a run will take, by some of its own steps at a rate of 0 and some of its evaluation's passes.
struct StepTiming {
    private let trainer: Trainer
    private let shapes: RunShapes

    /// Steps are tried until they have taken so long, in seconds, or are so many.
    private static let enough = 3.0
    private static let mostSteps = 12
    /// Of a checkpoint's way to the disk, a second.
    private static let bytesWritten = 500e6

    init(_ trainer: Trainer, _ shapes: RunShapes) { (self.trainer, self.shapes) = (trainer, shapes) }

    func seconds() throws -> Double {
        trainer.optimizer.state.allocate()
        let perToken = try timed(count: trainer.stepCount) { step in try trainer.tryStep(step) }
        var total = perToken * Double(shapes.tokens)
        if let validation = trainer.validation {
            let size = trainer.settings.evaluationBatchSize
            let model = trainer.base.model
            let passes = (validation.count - 1) / size + 1
            let perToken = try timed(count: passes) { pass in
                let end = min(validation.count, (pass * size).addingClamping(size))
                let batch = model.batch(
                    try (pass * size..<end).map { try validation.example($0) },
                    sharingPrompts: trainer.settings.sharesInEvaluation)
                withoutGradients { _ = model.loss(batch, scale: 1, .inference()) }
                return batch.tokenCount
            }
            let tokens = try validation.lengths().reduce(0) { $0 + Int($1) }
            total += perToken * Double(tokens) * Double(trainer.evaluationCount)
        }
        let bytes = trainer.trainableBytes + trainer.optimizer.state.byteCount
        return total + Double(trainer.checkpointCount) * Double(bytes) / Self.bytesWritten
    }

    /// The seconds that a token takes, by some of `count` pieces of work, spread over all of them. A short one is done once
    /// without being timed, because memory is fetched then.
    ///
    /// - Parameter body: Does a piece, and tells its tokens.
    private func timed(count: Int, _ body: (Int) throws -> Int) throws -> Double {
        let clock = ContinuousClock()
        var (seconds, tokens) = (0.0, 0)
        let beginning = clock.now
        let first = try body(0)
        let firstSeconds = beginning.duration(to: clock.now) / .seconds(1)
        if firstSeconds >= Self.enough { return firstSeconds / Double(max(1, first)) }
        let pieces = min(count, Self.mostSteps)
        for piece in 0..<pieces {
            let start = clock.now
            // In an order that is spread over the whole however early it ends.
            tokens += try body(Self.spread(piece, of: pieces) * count / pieces)
            seconds += start.duration(to: clock.now) / .seconds(1)
            if seconds >= Self.enough { break }
        }
        return seconds / Double(max(1, tokens))
    }

    /// The place of the n-th of some pieces, such that the first ones lie apart: steps of about 0.618 of the whole.
    private static func spread(_ piece: Int, of count: Int) -> Int {
        var stride = max(1, (count * 618 + 500) / 1000)
        while greatestCommonDivisor(stride, count) != 1 { stride += 1 }
        return piece * stride % count
    }

    private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
        b == 0 ? a : greatestCommonDivisor(b, a % b)
    }
}
