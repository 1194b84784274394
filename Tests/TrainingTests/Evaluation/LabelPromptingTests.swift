import Batches
import FoundationEssentials
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

@Suite("Labels that a language model is asked for") struct LabelPromptingTests {
    private static let endings: [[Int32]] = [[3], [4, 7], [5], [4, 8, 2], [4, 7, 2, 1, 9, 6, 3, 3]]

    private func tokens(_ count: Int, _ seed: Int) -> [Int32] { (0..<count).map { Int32((seed + 5 * $0) % 13 + 2) } }

    private func expectWhole(
        _ model: any LanguageModel, _ texts: [[Int32]], opening: [Int32]?, _ example: ([Int32], [Int32]) -> Example
    ) throws {
        let prompting = LabelPrompting(model, opening: opening, texts: texts)
        var found: [[Double]] = []
        var passes = 0
        while found.count < texts.count {
            let end = prompting.passEnd(texts, from: found.count)
            try #require(end > found.count)
            found += prompting.losses(behind: texts[found.count..<end], endings: Self.endings)
            passes += 1
        }
        #expect(found.count == texts.count && passes < texts.count)
        for (text, losses) in zip(texts, found) {
            for (ending, loss) in zip(Self.endings, losses) {
                let whole = model.loss(model.batch([example(text, ending)]), scale: 1, .inference()).sum
                #expect((loss - whole).magnitude <= 1e-6 * whole, "\(text) and \(ending)")
            }
        }
    }

    @Test(
        "are as probable as in passes of a whole text each, within 1e-6", arguments: [true, false],
        GeneratorTests.models)
    func whole(isShared: Bool, name: String) throws {
        let model = try BaseModel.quietly(fixture(name).path()).model
        let room = min(model.maximumLength, 32) - 8
        let beginning = isShared ? tokens(room - 5, 3) : []
        let texts = (0..<20).map { beginning + tokens(1 + $0 % 5, 11 * $0) } + [tokens(room, 90)]
        try expectWhole(model, texts, opening: nil) { Example(tokens: $0 + $1, firstTarget: $0.count) }
    }

    @Test(
        "are so where each text has endings of its own, as choices are", arguments: GeneratorTests.models + ["t5/gated"]
    )
    func choices(name: String) throws {
        let model = try BaseModel.quietly(fixture(name).path()).model
        let opening = model.hasEncoder ? model.opening([1]) : nil
        let texts = (0..<17).map { tokens(1 + 3 * ($0 % 4), 11 * $0) }
        let endings = texts.indices.map { text in
            (0..<2 + text % 3).map { Self.endings[(text + $0) % Self.endings.count] }
        }
        let prompting = LabelPrompting(model, opening: opening, texts: texts)
        let found = prompting.losses(behind: texts, endings: endings)
        #expect(found.map(\.count) == endings.map(\.count))
        for (index, text) in texts.enumerated() {
            for (ending, loss) in zip(endings[index], found[index]) {
                let start = opening ?? text
                let example =
                    opening == nil
                    ? Example(tokens: text + ending, firstTarget: text.count)
                    : Example(
                        source: text, tokens: start + ending, targets: [start.count..<start.count + ending.count])
                let whole = model.loss(model.batch([example]), scale: 1, .inference()).sum
                #expect((loss - whole).magnitude <= 1e-6 * whole, "\(text) and \(ending)")
            }
        }
    }

    @Test(
        "are so with adapters, and behind virtual tokens",
        arguments: [
            "adapters/all-linear", "adapters/head", "adapters/head-dora", "prompts/prompt", "prompts/prefix",
        ])
    func adapters(name: String) throws {
        let base = try BaseModel.quietly(fixture("adapters/base").path())
        let installation = try base.install(adapter: fixture(name).path())
        defer { installation.remove() }
        let most = name.hasPrefix("prompts") ? 1 : 2
        let endings = Self.endings.filter { $0.count <= most }
        let room = base.model.maximumLength - most
        let texts = (0..<40).map { tokens(max(1, room - 2), 3) + tokens(1 + $0 % 2, 11 * $0) }
        let prompting = LabelPrompting(base.model, opening: nil, texts: texts)
        let found = prompting.losses(behind: texts, endings: endings)
        for (text, losses) in zip(texts, found) {
            for (ending, loss) in zip(endings, losses) {
                let example = Example(tokens: text + ending, firstTarget: text.count)
                let whole = base.model.loss(base.model.batch([example]), scale: 1, .inference()).sum
                #expect((loss - whole).magnitude <= 1e-6 * whole)
            }
        }
    }

    @Test("are so where an encoder reads the text", arguments: ["t5/gated", "t5/relu", "t5/mt5"])
    func encoder(name: String) throws {
        let model = try BaseModel.quietly(fixture(name).path()).model
        let opening = model.opening([1])
        let texts = (0..<9).map { tokens(3 + 4 * $0, $0) } + [tokens(600, 2)]
        try expectWhole(model, texts, opening: opening) { text, ending in
            Example(source: text, tokens: opening + ending, targets: [opening.count..<opening.count + ending.count])
        }
    }
}
