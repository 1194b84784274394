import Datasets
import FoundationEssentials
import TestSupport
import Testing

@Suite("Prompt groups") struct PromptGroupTests {
    @Test("gather the completions of equal prompts, in the order of the file")
    func grouping() throws {
        let reference = try ReferenceExamples()
        let groups = try PromptGroup.load(
            paths: [reference.path("records.csv")], prompt: Template("{mr}\n"), completion: Template("{ref}"),
            limit: nil)
        #expect(groups.count == 7)
        #expect(
            groups[0]
                == PromptGroup(
                    prompt: PlacedText("name[The Mill], food[soup]\n"),
                    references: ["The Mill serves soup.", "Soup is what the Mill is known for."], record: 0))
        #expect(groups[4].prompt.source == "x\n")
    }

    @Test("keep prompts apart that only look the same")
    func canonicalEquivalence() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("a.csv", "p,c\n\u{E9},1\ne\u{301},2\n\u{E9},3\n")
        let groups = try PromptGroup.load(
            paths: [path], prompt: Template("{p}"), completion: Template("{c}"), limit: nil)
        #expect(groups.map(\.references) == [["1", "3"], ["2"]])
    }

    @Test("have places where the template has them, and none where the data says the same")
    func places() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("a.csv", "p,c\nx [P2],1\n")
        let groups = try PromptGroup.load(
            paths: [path], prompt: Template("[P3]{p}"), completion: Template("{c}"), limit: nil)
        #expect(groups.map(\.prompt.parts) == [[.virtualTokens(3), .text("x [P2]")]])
        #expect(groups.map(\.prompt.source) == ["[P3]x [P2]"])
    }

    @Test(
        "of the E2E development set are 547 for 4672 rows",
        .enabled(if: sharedData("datasets/e2e/devset.csv") != nil))
    func developmentSet() throws {
        let path = try #require(sharedData("datasets/e2e/devset.csv")).relativePath
        let groups = try PromptGroup.load(
            paths: [path], prompt: Template("{mr}\n"), completion: Template("{ref}"), limit: nil)
        #expect(groups.count == 547)
        #expect(groups.reduce(0) { $0 + $1.references.count } == 4672)
    }
}
