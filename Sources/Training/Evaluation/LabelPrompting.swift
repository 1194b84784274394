import Batches
import Layers
package import Models
import Tensors

/// Asks a language model which of some endings it would write behind texts, labels for all of them or choices of each. What
/// the texts begin with alike is computed once, a text once for all its endings, and an encoder's source too; the endings go
/// on from there side by side.
package struct LabelPrompting {
    /// Texts among which a common beginning is looked for.
    package static let textsAtOnce = 64

    private let model: any LanguageModel
    /// What a decoder begins with where an encoder reads the texts; nil where the endings go on from the texts themselves.
    private let opening: [Int32]?
    private let pass: SharedPass
    private let common: CommonBeginning?

    /// - Parameters:
    ///   - texts: The first of those that will come.
    package init(_ model: any LanguageModel, opening: [Int32]?, texts: [[Int32]]) {
        self.model = model
        self.opening = opening
        pass = SharedPass(model)
        common = CommonBeginning(of: texts, model, keepsBits: false)
    }

    /// Rows of a pass; what a text gets needn't have the same bits whatever is beside it.
    private var mostRows: Int { opening == nil ? max(pass.rows, 128) : 512 }

    private func shared(_ text: [Int32]) -> Int { common?.count(in: text, atMost: text.count - 1) ?? 0 }

    private func rows(_ text: [Int32]) -> Int {
        // What a decoder sees of a source takes as much memory as the source's own rows.
        if let opening { return opening.count + text.count }
        let count = shared(text)
        return min(text.count - count, mostRows) + (count == 0 ? model.leadingRows : 0)
    }

    /// How many of the texts from `start` on go into one pass.
    package func passEnd(_ texts: [[Int32]], from start: Int) -> Int {
        var (end, total) = (start, 0)
        while end < texts.count {
            total += rows(texts[end])
            if end > start, total > mostRows { break }
            end += 1
        }
        return end
    }

    /// −log p of each of the same endings behind each text.
    package func losses(behind texts: some Collection<[Int32]>, endings: [[Int32]]) -> [[Double]] {
        losses(behind: texts, endings: texts.map { _ in endings })
    }

    /// −log p of a text's endings behind it.
    ///
    /// - Parameter endings: Those of each text, one token each at least.
    package func losses(behind texts: some Collection<[Int32]>, endings: [[[Int32]]]) -> [[Double]] {
        let cache = model.makeCache(prompts: [], capacity: 0)
        var (rests, starts): ([[Int32]], [Int]) = ([], [])
        for text in texts {
            let count = shared(text)
            let read = opening ?? text
            let own =
                common.flatMap { count > 0 ? $0.cache(for: text, sharing: count, capacity: read.count) : nil }
                ?? model.makeCache(prompts: [text], capacity: read.count)
            let pieces = pass.pieces(from: count, to: read.count, leading: count == 0 ? model.leadingRows : 0)
            model.read(read, pieces.dropLast(), own)
            let start = pieces.last?.lowerBound ?? 0
            rests.append(Array(read[start...]))
            starts.append(start)
            cache.append(own)
        }
        let batch = TokenBatch(newTokens: rests, positions: starts)
        let logits = model.logits(batch, rows: batch.offsets.dropFirst().map { $0 - 1 }, .inference(cache: cache))
        var losses = rests.indices.map { row in
            crossEntropies(of: endings[row].map { $0[0] }, in: logits, row: row)
        }
        let longer = rests.indices.flatMap { text in
            endings[text].indices.filter { endings[text][$0].count > 1 }.map { (text: text, ending: $0) }
        }
        func length(_ place: (text: Int, ending: Int)) -> Int { endings[place.text][place.ending].count - 1 }
        var first = 0
        while first < longer.count {
            var (end, rows) = (first, 0)
            while end < longer.count, end == first || rows + length(longer[end]) <= mostRows {
                rows += length(longer[end])
                end += 1
            }
            let group = longer[first..<end]
            let parts = group.map { endings[$0.text][$0.ending] }
            var batch = TokenBatch(
                newTokens: parts.map { Array($0.dropLast()) },
                positions: group.map { starts[$0.text] + rests[$0.text].count })
            batch.labels = parts.flatMap { $0.dropFirst() }
            let continued = KeyValueCache(
                continuing: group.map { cache.beginning(of: $0.text) }, capacities: parts.map { $0.count - 1 })
            let found = model.loss(batch, scale: 1, .inference(cache: continued)).rows
            for (place, member) in group.enumerated() {
                for row in batch.offsets[place]..<batch.offsets[place + 1] {
                    losses[member.text][member.ending] += Double(found.data[row])
                }
            }
            first = end
        }
        return losses
    }
}
