import Batches
import Diagnostics
import Layers
public import Models
import Tensors
import Tokenizers

/// How texts are continued.
public struct GenerationSettings: Sendable, Hashable {
    /// How many tokens are appended at most.
    public var maximumNewTokens: Int
    /// nil: always the most likely token.
    public var sampling: SamplingSettings?
    /// nil: one continuation at a time; not together with `sampling`.
    public var beams: BeamSettings?
    /// What the scores are changed by before a token is chosen.
    public var processing = ProcessingSettings()

    public init(maximumNewTokens: Int, sampling: SamplingSettings?) {
        self.maximumNewTokens = maximumNewTokens
        self.sampling = sampling
    }
}

/// What was generated for one prompt.
public struct Generation: Sendable, Hashable {
    public enum Stop: Sendable, Hashable {
        /// A token that ends a text came; it isn't among the tokens.
        case endOfText
        /// A text came that is to end it; its tokens are among the tokens.
        case stopString
        /// As many tokens as were asked for.
        case tokenLimit
        /// Prompt and new tokens are as many as the model takes.
        case lengthLimit
    }

    public var tokens: [Int32]
    public var stop: Stop
    /// Of a search by beams: the sum of the tokens' log p over their number to the length penalty's power.
    public var score: Float?
    /// The next best texts of a search by beams, as many as were asked for.
    public var alternatives: [Generation] = []

    public init(tokens: [Int32], stop: Stop) {
        self.tokens = tokens
        self.stop = stop
    }

    init() { self.init(tokens: [], stop: .tokenLimit) }
}

/// Continues prompts, several at a time: each new token is one row in a pass of all sequences that are under way, and
/// where one ends, the next prompt takes its place.
///
/// What a prompt gets doesn't depend on the prompts beside it.
public final class Generator {
    /// Sequences under way at a time: as many rows as are multiplied in one reading of the weights. For our own kernels that
    /// reading takes as long as the products of twenty rows or so.
    public static let batchSize = BlockProduct.isPreferred ? 32 : 16

    /// Sequences that are taken on whatever memory they take, and what the keys and values of more may take with theirs.
    private static let certainSequences = 16
    private static let cacheBytes = 512 << 20

    private let model: any LanguageModel
    private let endIDs: Set<Int32>
    private let settings: GenerationSettings
    private let batchSize: Int
    private let sharesBeginnings: Bool
    private let pass: SharedPass
    /// The most rows of a pass that takes more than one sequence on: in a larger one the bits of a row would depend on the
    /// others. Where weights lie as [outputs, inputs] that are so few that each prompt has a pass of its own.
    package var rowsOfPass: Int { pass.rows }
    private let processors: [any LogitsProcessor]
    /// Whether the text of a prompt's new tokens is complete, for the prompt's index.
    public var isStopped: ((_ prompt: Int, _ tokens: [Int32]) -> Bool)?

    /// Stops at any of the tokens that end a text for `base`.
    public convenience init(_ base: BaseModel, settings: GenerationSettings) {
        self.init(model: base.model, endIDs: base.endOfText.stops, settings: settings)
    }

    /// - Parameter endIDs: The tokens of which each ends a text.
    public convenience init(model: any LanguageModel, endIDs: Set<Int32>, settings: GenerationSettings) {
        self.init(
            model: model, endIDs: endIDs, settings: settings, batchSize: Self.batchSize, sharesBeginnings: true)
    }

    /// No result depends on the last two.
    ///
    /// - Parameters:
    ///   - batchSize: Sequences under way at a time.
    ///   - sharesBeginnings: Whether what prompts begin with alike is computed once.
    package init(
        model: any LanguageModel, endIDs: Set<Int32>, settings: GenerationSettings, batchSize: Int,
        sharesBeginnings: Bool
    ) {
        require(batchSize > 0, "Generator: \(batchSize) sequences at a time")
        self.model = model
        self.endIDs = endIDs
        self.settings = settings
        self.batchSize = batchSize
        self.sharesBeginnings = sharesBeginnings
        pass = SharedPass(model)
        processors = logitsProcessors.compactMap { $0.init(settings.processing, endIDs: endIDs) }
    }

    /// One sequence under way.
    private struct Line {
        let index: Int
        let prompt: [Int32]
        /// Tokens that it may have in the cache, but for what it shares with others.
        var ownTokens = 0
        /// What is gone on from.
        let opening: [Int32]
        /// New tokens at most.
        let limit: Int
        var generation = Generation()
        var sampler: Sampler?
        /// How much of the opening is in the cache already, before the first new token.
        var seen = 0
        var length: Int { opening.count + generation.tokens.count }
        /// What the model has not seen yet, and its first position.
        var newTokens: [Int32] { generation.tokens.last.map { [$0] } ?? Array(opening[seen...]) }
        var start: Int { generation.tokens.isEmpty ? seen : length - 1 }
    }

    /// Continues every prompt.
    ///
    /// - Parameters:
    ///   - firstIndex: The number of the first prompt in the whole run, on which the random draws depend.
    ///   - onToken: Called for each new token with the prompt's index in `prompts`.
    ///   - onFinish: Called as each is done, in no particular order; a prompt's index, and what came out.
    /// - Throws: `Problem` for a prompt that is empty or longer than the model takes, and for logits that are no numbers.
    public func generate(
        _ prompts: [[Int32]], firstIndex: Int, onToken: (Int, Int32) -> Void = { _, _ in },
        onFinish: (Int, Generation) -> Void = { _, _ in }
    ) throws -> [Generation] {
        try generate(
            prompts, firstIndex: firstIndex, limits: prompts.map { _ in settings.maximumNewTokens }, onToken: onToken,
            onFinish: onFinish)
    }

    /// The same with a limit of new tokens for each prompt.
    package func generate(
        _ prompts: [[Int32]], firstIndex: Int, limits: [Int], onToken: (Int, Int32) -> Void = { _, _ in },
        onFinish: (Int, Generation) -> Void = { _, _ in }
    ) throws -> [Generation] {
        require(limits.count == prompts.count, "Generator: \(limits.count) limits, \(prompts.count) prompts")
        for prompt in prompts { try check(prompt) }
        if let beams = settings.beams {
            require(settings.sampling == nil, "Generator: random draws among beams")
            return try BeamGeneration(
                model: model, endIDs: endIDs, settings: beams, processors: processors,
                batchSize: batchSize, certainSequences: Self.certainSequences, tokensAtOnce: tokensAtOnce, pass: pass,
                isStopped: isStopped
            ).generate(prompts, limits: limits, onFinish: onFinish)
        }
        var results = [Generation](repeating: Generation(), count: prompts.count)
        var lines: [Line] = []
        let cache = model.makeCache(prompts: [], capacity: 0)
        let common = commonBeginning(of: prompts, limits)
        var next = 0
        func finish(_ line: Line) {
            results[line.index] = line.generation
            onFinish(line.index, line.generation)
        }
        while true {
            var rows = lines.count
            while lines.count < batchSize, next < prompts.count {
                let prompt = prompts[next]
                var line = Line(index: next, prompt: prompt, opening: model.opening(prompt), limit: limits[next])
                guard isContinuing(&line) else {
                    next += 1
                    finish(line)
                    continue
                }
                let capacity = min(model.maximumLength, line.opening.count.addingClamping(line.limit))
                let shared = common?.count(in: line.opening, atMost: line.opening.count - 1) ?? 0
                line.ownTokens = (capacity - shared).addingClamping(model.hasEncoder ? prompt.count : 0)
                let total = lines.reduce(line.ownTokens) { $0.addingClamping($1.ownTokens) }
                if lines.count >= Self.certainSequences, total > tokensAtOnce { break }
                let pieces = pass.pieces(
                    from: shared, to: line.opening.count, leading: shared == 0 ? model.leadingRows : 0)
                line.seen = pieces.last?.lowerBound ?? 0
                // In a pass of more rows than this, a row's bits would depend on the others: what is long goes alone.
                let count = line.opening.count - line.seen + (line.seen == 0 ? model.leadingRows : 0)
                let isLong = count + batchSize > rowsOfPass
                if !isLong && rows + count > rowsOfPass { break }
                next += 1
                line.sampler = settings.sampling.map { Sampler($0, index: firstIndex + line.index) }
                let own =
                    shared == 0
                    ? model.makeCache(prompts: [prompt], capacity: capacity)
                    : common?.cache(for: prompt, sharing: shared, capacity: capacity)
                guard let own else { defect("Generator: a beginning without its keys and values") }
                model.read(line.opening, pieces.dropLast(), own)
                var added = [line]
                if isLong { try advance(&added, own, onToken, finish) } else { rows += count }
                lines += added
                cache.append(own)
            }
            if lines.isEmpty { return results }
            try advance(&lines, cache, onToken, finish)
        }
    }

    /// Tokens whose keys and values take as much memory as those of many sequences may.
    private var tokensAtOnce: Int {
        let shape = model.promptShape
        return Self.cacheBytes / max(1, 2 * 4 * shape.layerCount * shape.heads.keyValueWidth)
    }

    /// What prompts that get tokens begin with alike.
    private func commonBeginning(of prompts: [[Int32]], _ limits: [Int]) -> CommonBeginning? {
        if !sharesBeginnings || model.hasEncoder { return nil }
        let continued = zip(prompts, limits).filter { $1 > 0 && $0.count < model.maximumLength }
        return CommonBeginning(of: continued.map(\.0), model, keepsBits: true)
    }

    /// One pass, from which each line gets its next token; those that are complete are dropped, from the cache too.
    private func advance(
        _ lines: inout [Line], _ cache: KeyValueCache, _ onToken: (Int, Int32) -> Void, _ finish: (Line) -> Void
    ) throws {
        let batch = TokenBatch(newTokens: lines.map(\.newTokens), positions: lines.map(\.start))
        let rows = batch.offsets.dropFirst().map { $0 - 1 }
        let logits = model.logits(
            batch, rows: rows.count == batch.rowCount ? nil : rows, .inference(cache: cache))
        if logits.firstNonFinite != nil { throw nonFiniteResult("a logit", of: model) }
        if !processors.isEmpty { process(lines, logits) }
        let greedy = settings.sampling == nil ? placesOfLargest(logits) : nil
        var kept: [Int] = []
        for index in lines.indices {
            let token = greedy.map { Int32($0[index]) } ?? draw(&lines[index], logits, row: index)
            if take(token, for: &lines[index], onToken) { kept.append(index) } else { finish(lines[index]) }
        }
        if kept.count < lines.count {
            lines = kept.map { lines[$0] }
            cache.keep(kept)
        }
    }

    private func process(_ lines: [Line], _ logits: Tensor) {
        for (row, line) in lines.enumerated() {
            let scores = UnsafeMutableBufferPointer(
                start: logits.data + row * logits.columnCount, count: logits.columnCount)
            let tokens = line.generation.tokens
            let history = TokenHistory(tokens: line.opening + tokens, newCount: tokens.count, source: line.prompt)
            for processor in processors { processor.process(scores, history) }
        }
    }

    private func draw(_ line: inout Line, _ logits: Tensor, row: Int) -> Int32 {
        withExtendedLifetime(logits) { line.sampler?.choose(logits.row(row)) ?? greedyChoice(logits.row(row)) }
    }

    /// Adds the token that follows; false where the sequence is complete.
    private func take(_ token: Int32, for line: inout Line, _ onToken: (Int, Int32) -> Void) -> Bool {
        if endIDs.contains(token) {
            line.generation.stop = .endOfText
            return false
        }
        line.generation.tokens.append(token)
        onToken(line.index, token)
        if isStopped?(line.index, line.generation.tokens) == true {
            line.generation.stop = .stopString
            return false
        }
        return isContinuing(&line)
    }

    private func isContinuing(_ line: inout Line) -> Bool {
        if line.generation.tokens.count >= line.limit {
            line.generation.stop = .tokenLimit
        } else if line.length >= model.maximumLength {
            line.generation.stop = .lengthLimit
        } else {
            return true
        }
        return false
    }

    private func check(_ prompt: [Int32]) throws {
        if prompt.isEmpty { throw Problem("the prompt is empty, and the model has no token to begin a text with") }
        if prompt.count > model.maximumLength {
            throw Problem(
                "the prompt has \(prompt.count) tokens, but the model takes at most \(model.maximumLength) "
                    + "(\(model.promptShape.positionKey))"
            )
        }
    }
}
