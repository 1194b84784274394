import Datasets
import Testing
import Tokenizers

@Suite("Text with places for virtual tokens") struct PlacedTextTests {
    @Test(
        "is cut at its places",
        arguments: [
            (
                "[P3]{a} is [P2][P1]!",
                [.virtualTokens(3), .text("A[P9] is "), .virtualTokens(2), .virtualTokens(1), .text("!")]
            ),
            ("[P0][P][p1][P1x] [Pa]{a}", [.text("[P0][P][p1][P1x] [Pa]A[P9]")]),
            (
                "[[P12]][P1234567]{{[P1]}}{a}",
                [
                    .text("["), .virtualTokens(12), .text("][P1234567]{"), .virtualTokens(1), .text("}A[P9]"),
                ]
            ),
            ("[P{a}1] é[P1]", [.text("[PA[P9]1] é"), .virtualTokens(1)]),
        ] as [(String, [PlacedText.Part])])
    func parts(source: String, expected: [PlacedText.Part]) throws {
        let text = try Template(source).renderPlaces(["A[P9]"])
        #expect(text.parts == expected)
        #expect(try text.source == Template(source).render(["A[P9]"]))
    }

    @Test("is cut in time that grows with its length")
    func manyOpenPlaces() {
        #expect(PlacedText(String(repeating: "[P", count: 100_000)).parts.count == 1)
    }

    @Test("has its virtual tokens numbered in their order between the tokens of its parts, or leaves them out")
    func encoding() throws {
        let tokenizer = try ReferenceExamples().tokenizer
        var codec = TextCodec(tokenizer, end: EndOfText(tokenizer, others: []))
        let text = PlacedText("[P2]the soup [P1] near")
        let (soup, near) = (tokenizer.encode("the soup "), tokenizer.encode(" near"))
        #expect(text.virtualTokenCount == 3)
        #expect(codec.opening(text) == tokenizer.encode("[P2]the soup [P1] near"))
        codec.virtualTokens = .filled(3)
        #expect(codec.opening(text) == [-1, -2] + soup + [-3] + near)
        codec.virtualTokens = .empty
        #expect(codec.opening(text) == soup + near)
    }

    @Test("must have as many places as there are virtual tokens, in what is given")
    func counts() throws {
        let completion = ExampleTemplates.completion(prompt: try Template("[P2]{q}"), completion: try Template("{a}"))
        try VirtualTokenPlaces.filled(2).check(completion)
        try VirtualTokenPlaces.none.check(completion)
        let bare = ExampleTemplates.completion(prompt: try Template("{q}[P9"), completion: try Template("[P3]{a}"))
        #expect(
            complaint { try VirtualTokenPlaces.filled(3).check(bare) } == """
                error: data.prompt: has no place for a virtual token, but there are 3 (num_virtual_tokens): [P3] in the \
                template is a place for three
                """)
        #expect(
            complaint { try VirtualTokenPlaces.filled(3).check(completion) } == """
                error: data.prompt: has places for 2 virtual tokens, but there are 3 (num_virtual_tokens): [P3] in the \
                template is a place for three
                """)
        #expect(
            complaint { try VirtualTokenPlaces.filled(3).check(.text(try Template("[P3]{q}"))) } == """
                error: data.text: virtual tokens have places in a prompt with a completion, or in a text with a label; \
                here all of a text is learned
                """)
    }

    private func complaint(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "no error"
        } catch { return "\(error)" }
    }
}
