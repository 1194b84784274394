import Configuration
import Datasets
import Diagnostics

/// What the `training` section says of how examples come together in batches, as `transformers` has it where it does.
public struct BatchSettings: Sendable, Hashable {
    /// `train_sampling_strategy`
    public enum Strategy: String, CaseIterable, Sendable {
        case random, sequential
        case byLength = "group_by_length"
    }

    /// nil: as `data.shuffle` says.
    public var strategy: Strategy?
    /// The most tokens of a micro-batch; nil where it has so many examples.
    public var tokens: Int?

    private static let tokensKey = "train_batch_tokens"
    private static let strategyKey = "train_sampling_strategy"

    /// - Parameter hasSize: Whether the number of examples is given.
    init(_ section: ConfigSection, hasSize: Bool) {
        strategy = section.optionalChoice(Self.strategyKey, of: Strategy.allCases.map(\.rawValue))
            .flatMap(Strategy.init(rawValue:))
        // The name that the strategy had before transformers 5.
        if section.optionalBool("group_by_length") == true {
            if let strategy, strategy != .byLength {
                section.record("is true beside \(Self.strategyKey): \(strategy.rawValue)", at: "group_by_length")
            }
            strategy = .byLength
        }
        tokens = section.optionalInt(Self.tokensKey, in: 1...Int(Int32.max))
        if tokens != nil, hasSize {
            section.record("can't be used together with per_device_train_batch_size", at: Self.tokensKey)
        }
    }

    /// Which examples of a data set are in which batch of which epoch.
    ///
    /// - Throws: `Problem` or `Problems` where examples don't fit the settings.
    func plan(
        for dataset: Dataset, _ data: DataSettings, batchSize own: Int, accumulation: Int, rankCount: Int,
        seed: UInt64, _ section: ConfigSection
    ) throws -> any BatchPlan {
        let batchSize = own.multipliedClamping(by: rankCount)
        let limit = tokens.map { $0.multipliedClamping(by: rankCount) }
        if data.groupsByPrompt {
            let other =
                tokens != nil
                ? Self.tokensKey
                : strategy == .byLength ? Self.strategyKey : nil
            if let other {
                throw Problems([section.problem("can't be used together with data.group_by_prompt", at: other)])
            }
            if data.weights.contains(where: { $0 != 1 }) {
                throw Problem("can't be used together with weights of data.train", key: "data.group_by_prompt")
            }
        }
        let shuffles = strategy.map { $0 != .sequential } ?? data.shuffles
        if let strategy, shuffles, !data.shuffles {
            throw Problems([
                section.problem(
                    "\(strategy.rawValue) draws the order of the records, and data.shuffle: false keeps it: give one of them",
                    at: section.has(Self.strategyKey) ? Self.strategyKey : "group_by_length")
            ])
        }
        var order: any ExampleOrder
        if data.groupsByPrompt {
            order = try PromptOrder(dataset, batchSize: batchSize, seed: shuffles ? seed : nil)
        } else if data.weights.contains(where: { $0 != 1 }), let examples = dataset.examplesOfFiles {
            order = WeightedOrder(Array(zip(examples, data.weights)), shuffles: shuffles, seed: seed)
            if order.count == 0 {
                throw Problem("with these weights no record comes in an epoch", key: "data.train")
            }
        } else if shuffles {
            order = RandomOrder(count: dataset.count, seed: seed)
        } else {
            order = FileOrder(count: dataset.count)
        }
        if strategy != .byLength, limit == nil { return EqualBatches(order, size: batchSize) }
        let lengths = try dataset.lengths()
        if strategy == .byLength {
            // Where batches are filled by tokens, so many of the average length.
            let average = lengths.reduce(0) { $0 + Int($1) } / lengths.count
            let size = limit.map { max(1, $0 / max(1, average)) } ?? batchSize
            order = LengthGroupedOrder(
                order, lengths: lengths, batchSize: size.multipliedClamping(by: accumulation))
        }
        guard let most = limit else { return EqualBatches(order, size: batchSize) }
        if data.weights.contains(where: { $0 != $0.rounded() }) {
            throw Problems([
                section.problem(
                    "can't be used together with weights of data.train that aren't whole", at: Self.tokensKey)
            ])
        }
        // A record isn't cut among processes, and each has room for its own part of a batch.
        let own = tokens ?? most
        if let longest = lengths.indices.max(by: { lengths[$0] < lengths[$1] }), lengths[longest] > own {
            let place = dataset.place(of: longest)
            throw Problem(
                "has \(lengths[longest]) tokens, more than the \(own) of a batch (training.\(Self.tokensKey))"
                    + (rankCount > 1 ? " that each of the \(rankCount) processes may have" : ""),
                file: place?.file, position: place.map { TextPosition(line: $0.line, column: 1) })
        }
        return TokenBatches(order, lengths: lengths, limit: most, shuffles: shuffles, seed: seed)
    }
}
