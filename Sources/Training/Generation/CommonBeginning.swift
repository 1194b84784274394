import Batches
package import Layers
package import Models
import Tensors

/// What many prompts begin with, a template's instruction or records that are shown before each question: its keys and
/// values are computed once, and every prompt goes on from as much of it as it has itself.
package struct CommonBeginning {
    /// Fewer tokens aren't worth it, for all prompts together and for each.
    private static let leastTokens = 16
    private static let leastSaved = 64

    package let tokens: [Int32]
    private let values: KeyValueBeginning
    private let model: any LanguageModel
    /// What is taken of it is a multiple of this.
    private let cut: Int

    /// Computes what is worth it of some texts; nil where nothing is, and where an encoder reads them, which sees whole texts
    /// alone.
    ///
    /// - Parameter keepsBits: Whether texts must have the bits that they have where each is computed by itself: on some
    ///   processors less of the beginning is shared then.
    package init?(of texts: [[Int32]], _ model: any LanguageModel, keepsBits: Bool) {
        if model.hasEncoder { return nil }
        let pass = SharedPass(model)
        cut = keepsBits ? pass.cut : 1
        let tokens = Self.choice(of: texts, cut: cut)
        if tokens.isEmpty { return nil }
        let cache = model.makeCache(prompts: [tokens], capacity: tokens.count)
        model.read(tokens, pass.pieces(from: 0, to: tokens.count, leading: model.leadingRows), cache)
        (self.tokens, self.model) = (tokens, model)
        values = cache.beginning(of: 0)
    }

    /// The beginning with which most is saved: its length times the texts that have it, but for one. At least one token of
    /// each text isn't in it.
    ///
    /// - Parameter cut: Its length is a multiple of this.
    package static func choice(of texts: [[Int32]], cut: Int) -> [Int32] {
        let sorted = texts.sorted { $0.lexicographicallyPrecedes($1) }
        // Neighbours have most in common: the largest rectangle under the lengths of what each has in common with the next.
        var common: [Int] = []
        for (a, b) in zip(sorted, sorted.dropFirst()) {
            let length = min(zip(a, b).prefix { $0 == $1 }.count, a.count - 1, b.count - 1)
            common.append(length < leastTokens ? 0 : length / cut * cut)
        }
        var best = (saved: leastSaved - 1, text: 0, length: 0)
        var open: [(start: Int, length: Int)] = []
        for (index, length) in (common + [0]).enumerated() {
            var start = index
            while let last = open.last, last.length >= length {
                open.removeLast()
                let saved = last.length * (index - last.start)
                if saved > best.saved { best = (saved, last.start, last.length) }
                start = last.start
            }
            if length > 0 { open.append((start, length)) }
        }
        return best.length == 0 ? [] : Array(sorted[best.text].prefix(best.length))
    }

    /// How much of the beginning a text has, at most `limit` tokens; 0 where that is too little to go on from.
    package func count(in text: [Int32], atMost limit: Int) -> Int {
        let length = min(zip(text, tokens).prefix { $0 == $1 }.count, limit)
        return length < Self.leastTokens ? 0 : length / cut * cut
    }

    /// A memory for a text that has `count` tokens of the beginning, with room for `capacity` tokens, those included.
    package func cache(for text: [Int32], sharing count: Int, capacity: Int) -> KeyValueCache {
        let learned = values.count - tokens.count
        let cache = KeyValueCache(continuing: [values.prefix(learned + count)], capacities: [capacity - count])
        let leading = model.leadingRows
        cache.read([text.count + leading], behind: learned - leading)
        return cache
    }
}

extension LanguageModel {
    /// Virtual tokens that a pass has in front of each text.
    var leadingRows: Int { hasEncoder ? 0 : prompt?.leadingCount ?? 0 }

    /// Puts the keys and values of a text's tokens into the memory of its one sequence, a pass for each piece.
    func read(_ text: [Int32], _ pieces: some Sequence<Range<Int>>, _ cache: KeyValueCache) {
        for piece in pieces {
            let batch = TokenBatch(newTokens: [Array(text[piece])], positions: [piece.lowerBound])
            _ = states(batch, rows: [batch.rowCount - 1], .inference(cache: cache))
        }
    }
}
