import Tensors
import Testing

@Suite(.serialized) struct OpTimerTests {
    @Test func `every operation and every way back has its time, also one below a part that was told apart`() {
        let x = Tensor(repeating: 0.5, [4, 8])
        let bias = Tensor(repeating: 0.1, [3])
        x.track()
        bias.track()
        let weight = DenseWeight(Tensor(repeating: 0.25, [3, 8]), isInputByOutput: false)
        OpTimer.start()
        for _ in 0..<2 {
            let y = linear(x, weight, bias: bias, lowRank: nil, activation: nil)
            OpTimer.lap("a part")
            y.backward()
        }
        let entries = OpTimer.stop()
        let described = Set(entries.map { "\($0.name) \($0.sizes) \($0.pullback ?? 0) \($0.count)" })
        #expect(
            described == [
                "linear [8, 3] 0 2", "linear [8, 3] 2 2", "linear [8, 3] 5 2", "a part [] 0 2", "rest [] 0 1",
            ])
        #expect(
            entries.allSatisfy { $0.seconds >= 0 } && entries.map(\.seconds) == entries.map(\.seconds).sorted(by: >))
    }

    @Test func `what happens after the end isn't counted`() {
        OpTimer.start()
        _ = OpTimer.stop()
        OpTimer.lap("later")
        OpTimer.start()
        #expect(OpTimer.stop().map(\.name) == ["rest"])
    }
}
