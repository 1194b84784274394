import Batches
import Datasets
import Diagnostics
import Layers
import Models
import Tensors

/// The hidden states below what trains, of each training example and each pass of an evaluation, computed once.
///
/// Examples are computed in groups that depend on the data alone, whatever the steps before were: so a resumed run, which
/// computes them again, gets the same bits.
final class HiddenStateStore {
    /// The rows of an example or a pass in the memory.
    private struct Rows {
        var own: Range<Int>?
        var sources: Range<Int>?
    }

    private let model: any LanguageModel
    private let plan: HiddenStatePlan
    private let batches: BatchSequence
    private let memory: HiddenStateMemory
    private var examples: [Rows?]
    private var passes: [Rows] = []

    /// - Parameter folder: For the scratch file.
    /// - Throws: A `Problem` where the folder has no room for it.
    init(_ plan: HiddenStatePlan, of model: any LanguageModel, _ batches: BatchSequence, folder: String) throws {
        self.plan = plan
        self.model = model
        self.batches = batches
        memory = try HiddenStateMemory(
            rows: plan.rowCount, width: plan.width, ordinaryBytes: plan.ordinaryBytes, folder: folder)
        examples = plan.keepsTraining ? Array(repeating: nil, count: batches.dataset.count) : []
    }

    // MARK: Training

    /// The states of a micro-batch, by its examples in their order; nil where none of the training data are kept.
    ///
    /// - Throws: A `Problem` with file and line where a record can't be used any more.
    func states(of indices: [Int]) throws -> KeptStates? {
        guard plan.keepsTraining else { return nil }
        for index in indices where examples[index] == nil { try compute(group: index / batches.batchSize) }
        let found = indices.compactMap { examples[$0] }
        return KeptStates(
            place: plan.place, own: plan.place.hasOwn ? memory.rows(found.compactMap(\.own)) : nil,
            sources: plan.place.hasSources ? memory.rows(found.compactMap(\.sources)) : nil)
    }

    private func compute(group: Int) throws {
        let size = batches.batchSize
        let indices = group * size..<min((group + 1) * size, batches.dataset.count)
        let group = try indices.map { try batches.dataset.example($0) }
        let states = states(of: model.batch(group), .training(seed: 0, pass: 0))
        var (own, sources) = (0, 0)
        let starts = (
            own: states.own.map { memory.append($0).lowerBound } ?? 0,
            sources: states.sources.map { memory.append($0).lowerBound } ?? 0
        )
        for (index, example) in zip(indices, group) {
            var rows = Rows()
            if states.own != nil {
                let count = plan.place.isBehindBlocks ? example.targetCount : example.rowCount
                rows.own = starts.own + own..<starts.own + own + count
                own += count
            }
            if states.sources != nil, let source = example.source {
                rows.sources = starts.sources + sources..<starts.sources + sources + source.count
                sources += source.count
            }
            examples[index] = rows
        }
        require(
            own == states.own?.rowCount ?? 0 && sources == states.sources?.rowCount ?? 0,
            "HiddenStateStore: \(own) and \(sources) rows of \(group.count) examples")
    }

    // MARK: Evaluation

    /// What gives the states of an evaluation's passes one after the other, the same ones in each evaluation; nil where none
    /// of the validation data are kept.
    func evaluation() -> ((TokenBatch) throws -> KeptStates)? {
        guard plan.keepsValidation else { return nil }
        var pass = 0
        return { [self] batch in
            defer { pass += 1 }
            if pass < passes.count {
                let rows = passes[pass]
                return KeptStates(
                    place: plan.place, own: rows.own.map { memory.rows([$0]) },
                    sources: rows.sources.map { memory.rows([$0]) })
            }
            let states = states(of: batch, .inference())
            passes.append(Rows(own: states.own.map(memory.append), sources: states.sources.map(memory.append)))
            return states
        }
    }

    private func states(of batch: TokenBatch, _ context: ForwardContext) -> KeptStates {
        let states = model.states(batch, below: plan.place, rows: batch.labelledRows, context)
        require(
            states.own?.needsGradient != true && states.sources?.needsGradient != true && !context.hasDrawn,
            "HiddenStateStore: something trains or is random below \(plan.place)")
        return states
    }
}
