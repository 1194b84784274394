import Testing
import Training

@Suite("Records in a prompt") struct FewShotTests {
    @Test(
        "end the answer at the first blank line",
        arguments: [("a\n\nb\n\nc", "a"), ("a\nb", "a\nb"), ("\n\na", ""), ("", ""), ("a\n \nb\n\n", "a\n \nb")])
    func answer(_ text: String, _ expected: String) { #expect(FewShot.answer(text) == expected) }
}
