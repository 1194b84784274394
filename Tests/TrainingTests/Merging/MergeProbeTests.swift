import Datasets
import Foundation
import Models
import TestSupport
import Testing
import Training

@Suite("What merged models are compared by") struct MergeProbeTests {
    @Test("has the loss of its texts alone, each token but the first of each text counting once") func loss() throws {
        let base = try BaseModel.quietly(repositoryRoot.appending(path: "embedded/base").path(percentEncoded: false))
        let codec = try base.codec()
        var (sum, count) = (0.0, 0)
        for text in MergeProbe.texts {
            let tokens = codec.opening(text)
            let logits = base.logits(tokens)
            let width = base.model.vocabularySize
            for (row, next) in tokens.dropFirst().enumerated() {
                let scores = logits[row * width..<(row + 1) * width].map(Double.init)
                sum += log(scores.reduce(0) { $0 + exp($1) }) - scores[Int(next)]
                count += 1
            }
        }
        let probe = MergeProbe(base)
        let found = try #require(probe.loss(probe.logits(base.model), of: base.model))
        #expect(abs(found - sum / Double(count)) <= 1e-5 * found)
    }
}
