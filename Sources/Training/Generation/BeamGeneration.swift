import Batches
import Diagnostics
import Layers
import Models
import Tensors

/// Searches for the best continuations of prompts, several at a time: each beam is one row in a pass of all that are under
/// way, and where a prompt's search ends, the next prompt takes its place.
///
/// What a prompt gets doesn't depend on the prompts beside it.
struct BeamGeneration {
    let model: any LanguageModel
    let endIDs: Set<Int32>
    let settings: BeamSettings
    let processors: [any LogitsProcessor]
    /// Beams under way at a time, those of one prompt at least.
    let batchSize: Int
    /// Beams that are taken on whatever memory they take, and how many tokens of more may be kept.
    let certainSequences: Int
    let tokensAtOnce: Int
    let pass: SharedPass
    let isStopped: ((Int, [Int32]) -> Bool)?

    /// A prompt under way, whose beams are one behind the other in the cache.
    private struct Line {
        let index: Int
        let prompt: [Int32]
        let opening: [Int32]
        /// Tokens that its beams may have in the cache.
        let ownTokens: Int
        /// New tokens at most.
        let limit: Int
        var search: BeamSearch
        var length: Int { opening.count + search.length }
    }

    /// - Parameters:
    ///   - limits: New tokens at most, for each prompt.
    ///   - onFinish: Called as each is done, in no particular order.
    func generate(_ prompts: [[Int32]], limits: [Int], onFinish: (Int, Generation) -> Void) throws -> [Generation] {
        var results = [Generation](repeating: Generation(), count: prompts.count)
        var lines: [Line] = []
        let cache = model.makeCache(prompts: [], capacity: 0)
        var next = 0
        // With more rows of the output layer, the bits of one would depend on the others.
        let promptCount = max(1, min(batchSize, pass.rows, pass.outputs) / settings.count)
        func finish(_ index: Int, _ generation: Generation) {
            results[index] = generation
            onFinish(index, generation)
        }
        while true {
            var added: [Line] = []
            var starts: [Int] = []
            let prefilled = model.makeCache(prompts: [], capacity: 0)
            var rows = 0
            while lines.count + added.count < promptCount, next < prompts.count {
                let prompt = prompts[next]
                let opening = model.opening(prompt)
                let room = model.maximumLength - opening.count
                let limit = min(limits[next], room)
                if limit <= 0 {
                    finish(next, Generation(tokens: [], stop: limits[next] <= 0 ? .tokenLimit : .lengthLimit))
                    next += 1
                    continue
                }
                // At most what the model takes, which for some families is any length. All beams read one prompt.
                let ownTokens = limit.multipliedClamping(by: settings.count)
                    .addingClamping(opening.count + (model.hasEncoder ? prompt.count : 0))
                let known = lines + added
                let total = known.reduce(ownTokens) { $0.addingClamping($1.ownTokens) }
                if !known.isEmpty, (known.count + 1) * settings.count > certainSequences, total > tokensAtOnce { break }
                let pieces = pass.pieces(from: 0, to: opening.count, leading: model.leadingRows)
                let seen = pieces.last?.lowerBound ?? 0
                // In a pass of more rows than this, a row's bits would depend on the others: a long prompt goes alone.
                let count = opening.count - seen + (seen == 0 ? model.leadingRows : 0)
                if !added.isEmpty, rows + count > pass.rows { break }
                rows += count
                let own = model.makeCache(prompts: [prompt], capacity: opening.count)
                model.read(opening, pieces.dropLast(), own)
                prefilled.append(own)
                starts.append(seen)
                added.append(
                    Line(
                        index: next, prompt: prompt, opening: opening, ownTokens: ownTokens, limit: limit,
                        search: BeamSearch(settings, endIDs: endIDs, limit: limit)))
                next += 1
            }
            if !added.isEmpty {
                let logits = try lastLogits(
                    zip(added, starts).map { Array($0.opening[$1...]) }, starts: starts, prefilled)
                // Each beam goes on from the prompt's keys and values, which lie in memory once.
                let rows = added.indices.map { [Int](repeating: $0, count: settings.count) }
                let beams = rows.flatMap { $0 }
                let beginnings = added.indices.map { prefilled.beginning(of: $0) }
                let continued = KeyValueCache(
                    continuing: beams.map { beginnings[$0] }, capacities: beams.map { added[$0].limit })
                advance(&added, logits, rows: rows, continued)
                cache.append(continued)
                lines += added
            } else if lines.isEmpty {
                return results
            } else {
                try step(&lines, cache)
            }
            let done = lines.indices.filter { lines[$0].search.isDone }
            if done.isEmpty { continue }
            for index in done { finish(lines[index].index, result(lines[index], limits[lines[index].index])) }
            let kept = lines.indices.filter { !lines[$0].search.isDone }
            lines = kept.map { lines[$0] }
            cache.keep(kept.flatMap { ($0 * settings.count)..<(($0 + 1) * settings.count) })
        }
    }

    /// The logits of the last row of each sequence.
    private func lastLogits(_ newTokens: [[Int32]], starts: [Int], _ cache: KeyValueCache) throws -> Tensor {
        let batch = TokenBatch(newTokens: newTokens, positions: starts)
        let rows = batch.offsets.dropFirst().map { $0 - 1 }
        let logits = model.logits(batch, rows: rows.count == batch.rowCount ? nil : rows, .inference(cache: cache))
        if logits.firstNonFinite != nil { throw nonFiniteResult("a logit", of: model) }
        return logits
    }

    /// One pass of all beams.
    private func step(_ lines: inout [Line], _ cache: KeyValueCache) throws {
        var tokens = [[Int32]](repeating: [], count: lines.count * settings.count)
        var starts = [Int](repeating: 0, count: tokens.count)
        let rows = lines.indices.map { index in
            lines[index].search.beams.map { index * settings.count + $0.slot }
        }
        for (index, line) in lines.enumerated() {
            for (beam, row) in zip(line.search.beams, rows[index]) {
                tokens[row] = beam.tokens.suffix(1)
                starts[row] = line.length - 1
            }
        }
        let logits = try lastLogits(tokens, starts: starts, cache)
        advance(&lines, logits, rows: rows, cache)
    }

    /// Lets each search go on by the logits of its beams, which are in `rows`, and puts the cache in order.
    private func advance(_ lines: inout [Line], _ logits: Tensor, rows: [[Int]], _ cache: KeyValueCache) {
        var sums = logSums(logits)
        if !processors.isEmpty {
            process(lines, logits, rows, sums)
            sums = sums.map { _ in 0 }
        }
        let places = placesOfLargest(logits, count: min(lines[0].search.candidateCount, logits.columnCount))
        for index in lines.indices {
            let search = lines[index].search
            let candidates = zip(search.beams.indices, rows[index]).flatMap { beam, row in
                places[row].map { token in
                    BeamSearch.Candidate(
                        score: Float(Double(logits.data[row * logits.columnCount + token]) - sums[row])
                            + search.beams[beam].score, beam: beam, token: Int32(token))
                }
            }
            let number = lines[index].index
            let before = search.length
            let copies = lines[index].search.advance(candidates) { isStopped?(number, $0) ?? false }
            for copy in copies {
                let first = index * settings.count
                cache.copy(first + copy.source, to: first + copy.target, last: before - copy.tokens)
            }
        }
    }

    /// Makes log p of the logits and changes them. At first all beams of a prompt have one row.
    private func process(_ lines: [Line], _ logits: Tensor, _ rows: [[Int]], _ sums: [Double]) {
        for (index, line) in lines.enumerated() {
            var done: Set<Int> = []
            for (beam, row) in zip(line.search.beams, rows[index]) where done.insert(row).inserted {
                let scores = UnsafeMutableBufferPointer(
                    start: logits.data + row * logits.columnCount, count: logits.columnCount)
                for token in scores.indices { scores[token] = Float(Double(scores[token]) - sums[row]) }
                let history = TokenHistory(
                    tokens: line.opening + beam.tokens, newCount: beam.tokens.count, source: line.prompt)
                for processor in processors { processor.process(scores, history) }
            }
        }
    }

    private func result(_ line: Line, _ limit: Int) -> Generation {
        let all = line.search.texts.prefix(settings.returnedCount).map { text in
            var tokens = text.tokens
            let stop: Generation.Stop
            if let last = tokens.last, endIDs.contains(last) {
                tokens.removeLast()
                stop = .endOfText
            } else if isStopped?(line.index, tokens) == true {
                stop = .stopString
            } else {
                stop = tokens.count >= limit ? .tokenLimit : .lengthLimit
            }
            var generation = Generation(tokens: tokens, stop: stop)
            generation.score = text.score
            return generation
        }
        var best = all[0]
        best.alternatives = Array(all.dropFirst())
        return best
    }
}
