import FoundationEssentials
import JSONText
import TestSupport
import Testing
import Tokenizers

@Suite("GPT-2's tokenizer gives the ids of the Hugging Face library")
struct GPT2EncodingTests {
    let tokenizer: any Tokenizer

    init() throws { tokenizer = try gpt2.get() }

    @Test("for Hello world, and has the size and end of text of GPT-2")
    func helloWorld() {
        #expect(tokenizer.encode("Hello world") == [15496, 995])
        #expect(tokenizer.encode("") == [])
        #expect(tokenizer.encode("a<|endoftext|>b") == [64, 50256, 65])
        #expect(tokenizer.vocabularySize == 50257)
        #expect(tokenizer.endOfTextID == 50256)
        #expect(tokenizer.id(of: "Ġworld") == 995)
        #expect(tokenizer.id(of: " world") == nil)
    }

    @Test(
        "from the vocabulary that its merges make, which is the published one",
        .enabled(if: sharedData("tokenizers/gpt2/vocab.json") != nil))
    func vocabulary() throws {
        let published = try JSONNode.load(path: #require(sharedData("tokenizers/gpt2/vocab.json")).path())
        let merges = try gpt2Merges()
        if let file = sharedData("tokenizers/gpt2/merges.txt") {
            #expect(try merges == String(contentsOf: file, encoding: .utf8))
        }
        let made = try JSONNode.parse(gpt2Vocabulary(merges).text(.compact)).asObject()
        let expected = Dictionary(
            uniqueKeysWithValues: try published.asObject().map { (try $0.value.asInteger(), $0.key) })
        #expect(made.count == 50257 && expected.count == made.count)
        for (id, member) in made.enumerated() { #expect(member.key == expected[id]) }
    }

    @Test("for random Unicode text, which decoding restores")
    func unicodeTexts() throws {
        for node in try tokenizerFixture("gpt2-texts.json").asArray() {
            let text = try node.string("text")
            let ids = tokenizer.encode(text)
            let expected = try Digest(node)
            #expect(Digest(ids) == expected, "\(text.debugDescription): \(ids)")
            #expect(tokenizer.decode(ids, skippingSpecialTokens: false) == Array(text.utf8))
        }
    }

    @Test("for every code point of Unicode")
    func codePoints() throws {
        let (actual, expected) = try digestsOfCodePoints(tokenizerFixture("gpt2-code-points.json"), tokenizer) {
            "a\($0)a1\($0)1!\($0)! \($0) \($0)\($0) x\n"
        }
        #expect(actual == expected)
    }

    @Test("for words of any length, without taking long")
    func longWords() throws {
        let start = ContinuousClock.now
        for node in try tokenizerFixture("gpt2-words.json").asArray() {
            let letter = try node.string("letter")
            let length = try node.integer("length")
            let word = letter.isEmpty ? letters(length) : String(repeating: letter, count: length)
            let (name, expected) = (try node.string("name"), try Digest(node))
            #expect(Digest(tokenizer.encode(word)) == expected, "\(name)")
        }
        // Two words of 100,000 letters: a quadratic merge needs minutes, this milliseconds.
        #expect(ContinuousClock.now - start < .seconds(10))
    }

    private func letters(_ length: Int) -> String {
        var state: UInt32 = 1
        let alphabet = Array("etaoinshrdluabcz".utf8)
        let bytes = (0..<length).map { _ -> UInt8 in
            state = (state &* 1_103_515_245 &+ 12345) & 0x7FFF_FFFF
            return alphabet[Int(state >> 16 & 15)]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test("for all of the data beside the repository", .enabled(if: sharedData("datasets") != nil))
    func sharedFiles() throws {
        let nodes = try tokenizerFixture("gpt2-files.json").asArray()
        #expect(nodes.count == 16)
        for node in nodes {
            let path = try node.string("path")
            let file = try #require(sharedData(path))
            let text = String(decoding: try Data(contentsOf: file), as: UTF8.self)
            let ids = tokenizer.encode(text)
            let expected = try Digest(node)
            #expect(Digest(ids) == expected, "\(path)")
            #expect(tokenizer.decode(ids, skippingSpecialTokens: false) == Array(text.utf8), "\(path)")
        }
    }

    @Test("on several threads at once")
    func threads() async throws {
        let texts = try tokenizerFixture("gpt2-texts.json").asArray().map { try $0.string("text") }
        let expected = encodeAll(texts, tokenizer)
        let shared = tokenizer
        let tasks = (0..<8).map { _ in Task.detached { encodeAll(texts, shared) } }
        for task in tasks {
            let ids = await task.value
            #expect(ids == expected)
        }
    }
}

private func encodeAll(_ texts: [String], _ tokenizer: any Tokenizer) -> [[Int32]] {
    texts.map { tokenizer.encode($0) }
}
