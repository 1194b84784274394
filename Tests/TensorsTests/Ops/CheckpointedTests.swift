import Tensors
import TestSupport
import Testing

@Suite("A checkpointed computation") struct CheckpointedTests {
    private final class Calls { var replays: [Bool] = [] }

    @Test("is done once forward and once back, with the gradients of everything that it reads")
    func gradients() {
        let results = [false, true].map { isCheckpointing in
            let (a, b) = (Tensor(noise(24), shape: [4, 6]), Tensor(noise(24, seed: 2), shape: [4, 6]))
            a.track()
            b.track()
            let calls = Calls()
            // Recorded outside, read inside twice and outside once more.
            let outer = addResidual(a, b, dropout: Dropout(probability: 0.5, key: 5))
            func body(_ isReplay: Bool) -> Tensor {
                calls.replays.append(isReplay)
                return addResidual(
                    addResidual(outer, a, dropout: nil), outer, dropout: Dropout(probability: 0.5, key: 9))
            }
            let y = isCheckpointing ? checkpointed(body) : body(false)
            addResidual(y, outer, dropout: nil).backward(seed: Tensor(noise(24, seed: 3), shape: [4, 6]))
            #expect(calls.replays == (isCheckpointing ? [false, true] : [false]))
            return [y, a.gradient, b.gradient].map { $0?.values ?? [] }
        }
        #expect(results[0] == results[1] && !results[0].contains([]))
    }

    @Test("has the same bits where a layer has a low-rank term that trains")
    func lowRankTerm() {
        let (rows, inputs, outputs, rank) = (200, 64, 192, 8)
        func tensor(_ rows: Int, _ columns: Int, _ seed: UInt64) -> Tensor {
            Tensor(noise(rows * columns, seed: seed), shape: [rows, columns])
        }
        let weight = DenseWeight(tensor(outputs, inputs, 1), isInputByOutput: false)
        let (x, u, b) = (tensor(rows, inputs, 2), tensor(rows, rank, 3), tensor(outputs, rank, 4))
        u.track()
        b.track()
        let results = [false, true].map { byRow in
            func body(_ isReplay: Bool) -> Tensor {
                linear(x, weight, bias: nil, lowRank: LowRankTerm(u: u, b: b), activation: nil, byRow: byRow)
            }
            return body(false).values == checkpointed(body).values
        }
        #expect(results == [true, true])
    }

    @Test("of constants leaves no record, and one of nothing passes the gradient on")
    func trivial() {
        let x = Tensor([1, 2], shape: [1, 2])
        #expect(!checkpointed { _ in addResidual(x, x, dropout: nil) }.needsGradient)
        #expect(!withoutGradients { checkpointed { _ in x } }.needsGradient)
        x.track()
        let y = addResidual(
            checkpointed { _ in x.copy() }, checkpointed { _ in addResidual(x, x, dropout: nil) }, dropout: nil)
        y.backward()
        #expect(x.gradient?.values == [2, 2])
    }
}
