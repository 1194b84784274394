import FoundationEssentials
import TestSupport
import Testing
import Training

struct LabelTellingTests {
    @Test(
        "a text has the same bits alone and among others, also where they are more than the output layer takes at once",
        arguments: ["classification/model", "llama/classification/model"])
    func alone(_ model: String) throws {
        let base = try BaseModel.quietly(fixture(model).path(percentEncoded: false))
        // Many short ones, some that fill a pass of their own.
        let texts = (0..<60).map { text in
            (0..<[1, 2, 1, 5, 3, 20][text % 6]).map { Int32(1 + (7 * text + 3 * $0) % 25) }
        }
        var together: [ToldLabel] = []
        try tellLabels(of: texts, by: base) { index, label in
            #expect(index == together.count)
            together.append(label)
        }
        try #require(together.count == texts.count)
        for (text, label) in zip(texts, together) {
            try tellLabels(of: [text], by: base) { #expect($1 == label && $0 == 0) }
        }
    }
}
