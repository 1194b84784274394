import JSONText
import Testing
import Tokenizers

@Suite("A text that goes on from another")
struct ContinuationTests {
    /// The tokenizers that must hold to it; one of each kind.
    private static let tokenizers: [(name: String, tokenizer: Result<any Tokenizer, any Error>)] = [("gpt2", gpt2)]

    private static let texts = [
        ("The capital of France is", " Paris."), ("name[The Eagle]\n", "The Eagle"), ("two ", " spaces"),
        ("a", "b"), ("", " x"), ("x", ""), ("日", "本 😀"), ("e", "\u{301}!"), ("<|endof", "text|>"), ("it", "'s"),
    ]

    @Test(
        "has ids that decode to both behind those of the other, at once and one by one",
        arguments: tokenizers.map(\.name))
    func joined(name: String) throws {
        let tokenizer = try #require(Self.tokenizers.first { $0.name == name }).tokenizer.get()
        for (prompt, completion) in Self.texts {
            let start = tokenizer.prefixIDs + tokenizer.encode(prompt)
            let end = tokenizer.encode(completion, isContinuation: true)
            #expect(sameBytes(tokenizer.decodedString(start + end, skippingSpecialTokens: true), prompt + completion))
            var (all, rest) = (
                StreamedTokens(tokenizer, isContinuation: false), StreamedTokens(tokenizer, isContinuation: true)
            )
            #expect(sameBytes((start + end).map { all.append($0) }.joined() + all.finish(), prompt + completion))
            #expect(sameBytes(end.map { rest.append($0) }.joined() + rest.finish(), completion))
        }
    }
}
