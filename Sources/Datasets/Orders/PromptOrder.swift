import Batches

/// Orders in which examples with the same prompt stand together, so that a batch has as few prompts as can be.
///
/// Batches are filled one after the other: with the prompt whose turn it is, or as many of its examples as there is room for;
/// then with the next ones that fit in whole, and where none does with a part of the next one, the rest of which has the
/// next turn. So every batch but the last is full.
package struct PromptOrder: ExampleOrder {
    /// The prompt of each example, by number in the order of first appearance.
    private let prompts: [Int32]
    package let promptCount: Int
    private let batchSize: Int
    /// By which prompts are shuffled, and the examples of each; nil for the order of the data.
    private let seed: UInt64?

    /// Goes through all examples once. What is given in them is told apart by 64 bits of a hash: prompts that share one by
    /// chance stand together and remain what they are.
    ///
    /// Throws a `Problem` with file and line where a record can't be used any more.
    package init(_ dataset: Dataset, batchSize: Int, seed: UInt64?) throws {
        var numbers: [UInt64: Int32] = [:]
        prompts = try (0..<dataset.count).map { index in
            let hash = try dataset.example(index).promptHash
            let number = numbers[hash] ?? Int32(numbers.count)
            numbers[hash] = number
            return number
        }
        promptCount = numbers.count
        (self.batchSize, self.seed) = (batchSize, seed)
    }

    /// - Parameter prompts: The prompt of each example, by number in the order of first appearance.
    package init(prompts: [Int32], batchSize: Int, seed: UInt64?) {
        self.prompts = prompts
        (self.batchSize, self.seed) = (batchSize, seed)
        promptCount = Int(prompts.max() ?? -1) + 1
    }

    package var count: Int { prompts.count }
    package var grouping: PromptGrouping? { PromptGrouping(promptCount: promptCount, isShuffled: seed != nil) }

    package func indices(epoch: Int) -> [Int32] {
        var queue = Queue(groups(epoch: epoch))
        var order: [Int32] = []
        order.reserveCapacity(prompts.count)
        while order.count < prompts.count {
            let room = batchSize - order.count % batchSize
            order += queue.take(room, isBeginning: room == batchSize)
        }
        return order
    }

    /// The examples of each prompt, and the prompts in their turns.
    private func groups(epoch: Int) -> [[Int32]] {
        let examples =
            seed.map { permutation(of: prompts.count, seed: $0, epoch: epoch) } ?? prompts.indices.map(Int32.init)
        var turns = (0..<Int32(promptCount)).map { $0 }
        if let seed {
            // Another stream than that of the examples.
            let order = permutation(of: promptCount, seed: seed ^ 0x5DEE_CE66_D1CE_4E5B, epoch: epoch)
            for (turn, prompt) in order.enumerated() { turns[Int(prompt)] = Int32(turn) }
        }
        var groups = [[Int32]](repeating: [], count: promptCount)
        for example in examples { groups[Int(turns[Int(prompts[Int(example)])])].append(example) }
        return groups
    }

    /// Groups by their sizes, in their turns.
    private struct Queue {
        private struct Group {
            let turn: Int
            var examples: ArraySlice<Int32>
        }

        /// Those of each size, the last of which has the first turn.
        private var groups: [Int: [Group]] = [:]
        /// The sizes of which there are some.
        private var sizes: [Int] = []

        init(_ all: [[Int32]]) {
            for (turn, examples) in all.enumerated().reversed() { add(Group(turn: turn, examples: examples[...])) }
        }

        private mutating func add(_ group: Group) {
            let size = group.examples.count
            if groups[size] == nil { sizes.append(size) }
            groups[size, default: []].append(group)
        }

        /// Examples of one group, at most `room`: of the first that fits, or where a batch begins of the first.
        mutating func take(_ room: Int, isBeginning: Bool) -> ArraySlice<Int32> {
            guard let size = (isBeginning ? nil : first(upTo: room)) ?? first(upTo: .max),
                var group = groups[size]?.popLast()
            else {
                return []
            }
            if groups[size]?.isEmpty == true {
                groups[size] = nil
                sizes.removeAll { $0 == size }
            }
            let taken = group.examples.prefix(room)
            group.examples = group.examples.dropFirst(room)
            // It had the first turn of all that are left, or didn't fit: so it has among those of its new size.
            if !group.examples.isEmpty { add(group) }
            return taken
        }

        /// The size of the group of at most `limit` examples that has the first turn.
        private func first(upTo limit: Int) -> Int? {
            var best: (size: Int, turn: Int)?
            for size in sizes where size <= limit {
                let turn = groups[size]?.last?.turn ?? .max
                if turn < best?.turn ?? .max { best = (size, turn) }
            }
            return best?.size
        }
    }
}

/// How the examples of an epoch stand together by their prompts.
public struct PromptGrouping: Sendable, Hashable {
    public let promptCount: Int
    /// Whether the prompts, and the examples of each, come in another order in each epoch.
    public let isShuffled: Bool
}

extension Example {
    /// A number of what is given, the same for the same tokens.
    fileprivate var promptHash: UInt64 {
        var state: UInt64 = 0
        func add(_ number: UInt64) {
            var generator = SplitMix64(state: state ^ number)
            state = generator.next()
        }
        for token in source ?? [] { add(UInt64(bitPattern: Int64(token))) }
        add(1 << 40)
        for token in tokens.prefix(givenCount + 1) { add(UInt64(bitPattern: Int64(token))) }
        return state
    }
}
