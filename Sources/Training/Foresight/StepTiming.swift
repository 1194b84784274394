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

    /// Pieces of work are tried until they have taken so long, in seconds, and are at least so many.
    private static let enough = 3.0
    private static let fewest = 3
    /// Nothing is tried any more after so many seconds.
    private static let tooLong = 20.0
    private static let most = 240
    /// Of a checkpoint's way to the disk, a second.
    private static let bytesWritten = 500e6

    init(_ trainer: Trainer, _ shapes: RunShapes) { (self.trainer, self.shapes) = (trainer, shapes) }

    func seconds() throws -> Double {
        try trainer.allocateTrialState()
        let plan = trainer.hiddenStatePlan
        let training = try timed(count: trainer.stepCount) { try trainer.tryStep($0) }
        let once = plan?.keepsTraining == true ? try Self.tokens(of: trainer.batches.dataset) : 0
        var total = training.above * Double(shapes.tokens) + training.below * Double(once)
        if let validation = trainer.validation, trainer.evaluationCount > 0 {
            let passes = (validation.count - 1) / trainer.settings.evaluationBatchSize + 1
            let pass = try timed(count: passes) { try trainer.tryPass($0, of: validation) }
            let times = Double(trainer.evaluationCount)
            let timesBelow = plan?.keepsValidation == true ? 1 : times
            total += (pass.above * times + pass.below * timesBelow) * Double(try Self.tokens(of: validation))
        }
        let bytes = trainer.trainableBytes + trainer.optimizer.state.byteCount
        return total + Double(trainer.checkpointCount) * Double(bytes) / Self.bytesWritten
    }

    private static func tokens(of dataset: Dataset) throws -> Int { try dataset.lengths().reduce(0) { $0 + Int($1) } }

    /// The seconds that a token takes, by some of `count` pieces of work, spread over all of them. One is done without
    /// being timed before, because memory is fetched then.
    private func timed(count: Int, _ body: (Int) throws -> TriedWork) throws -> (below: Double, above: Double) {
        var sum = TriedWork()
        let first = try body(0)
        if first.below + first.above >= Self.tooLong {
            sum = first
        } else {
            let pieces = min(count, Self.most)
            var spent = first.below + first.above
            for piece in 0..<pieces {
                // In an order that is spread over the whole however early it ends.
                let work = try body(Self.spread(piece, of: pieces) * count / pieces)
                sum.add(work)
                spent += work.below + work.above
                if spent >= Self.tooLong || sum.below + sum.above >= Self.enough && piece + 1 >= Self.fewest { break }
            }
        }
        let tokens = Double(max(1, sum.tokens))
        return (sum.below / tokens, sum.above / tokens)
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

/// What a piece of work took that was tried.
struct TriedWork {
    /// Those that went through the model.
    var tokens = 0
    /// The seconds for hidden states that are kept once they are known.
    var below = 0.0
    /// The seconds of all else.
    var above = 0.0

    mutating func add(_ other: TriedWork) {
        tokens += other.tokens
        below += other.below
        above += other.above
    }
}

extension Trainer {
    /// Takes a step of the run at a rate of 0, by which nothing is learned.
    func tryStep(_ step: Int) throws -> TriedWork {
        let (epoch, index) = step.quotientAndRemainder(dividingBy: stepsPerEpoch)
        let first = index * settings.accumulation
        let place = hiddenStatePlan.flatMap { $0.keepsTraining ? $0.place : nil }
        // An epoch is laid out once, whichever of its steps are tried.
        _ = batches.batches(of: epoch)
        return try tried { below in
            let batches = try (first..<min(first + settings.accumulation, self.batches.count)).map {
                batch(try self.batches.examples(epoch: epoch, index: $0))
            }
            let kept = below {
                batches.map { batch in
                    place.map {
                        base.model.states(batch, below: $0, rows: batch.labelledRows, .training(seed: 0, pass: 0))
                    }
                }
            }
            return runner.step(
                batches, firstPass: epoch * self.batches.count + first, learningRate: 0, startingFrom: { kept[$0] }
            ).tokenCount
        }
    }

    /// Does a pass of an evaluation.
    func tryPass(_ pass: Int, of validation: Dataset) throws -> TriedWork {
        let size = settings.evaluationBatchSize
        let examples = pass * size..<min(validation.count, (pass * size).addingClamping(size))
        let place = hiddenStatePlan.flatMap { $0.keepsValidation ? $0.place : nil }
        return try tried { below in
            let batch = base.model.batch(
                try examples.map { try validation.example($0) }, sharingPrompts: settings.sharesInEvaluation)
            withoutGradients {
                let kept = below {
                    place.map { base.model.states(batch, below: $0, rows: batch.labelledRows, .inference()) }
                }
                _ = base.model.loss(
                    batch, scale: 1, .inference(startingFrom: kept, labelSmoothing: settings.labelSmoothing))
            }
            return batch.tokenCount
        }
    }

    /// Times a piece of work, which gives its tokens.
    ///
    /// - Parameter body: Is given what times a part of it apart from the rest.
    private func tried(_ body: (Part) throws -> Int) rethrows -> TriedWork {
        let part = Part()
        let start = ContinuousClock.now
        let tokens = try body(part)
        let seconds = start.duration(to: .now) / .seconds(1)
        return TriedWork(tokens: tokens, below: part.seconds, above: seconds - part.seconds)
    }
}

/// Clocks a part of a piece of work.
private final class Part {
    private(set) var seconds = 0.0

    func callAsFunction<Result>(_ body: () throws -> Result) rethrows -> Result {
        let start = ContinuousClock.now
        defer { seconds += start.duration(to: .now) / .seconds(1) }
        return try body()
    }
}
