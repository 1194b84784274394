import Tensors
import TestSupport
import Testing

struct EmbeddingTests {
    @Test("rows of both tables are summed, and repeated rows sum their gradients", arguments: [1, 8, 13, 70])
    func matchesFormula(width: Int) {
        let (tokens, positions): ([Int32], [Int32]) = ([4, 0, 4, 4, 2, 0], [0, 1, 2, 3, 0, 1])
        let found = deviation(
            of: { embed(tokens: tokens, positions: positions, tokenTable: $0[0], positionTable: $0[1]) },
            from: { inputs in
                zip(tokens, positions).flatMap { token, position in
                    (0..<width).map { inputs[0][Int(token) * width + $0] + inputs[1][Int(position) * width + $0] }
                }
            },
            at: [
                Tensor(noise(5 * width), shape: [5, width]), Tensor(noise(4 * width, seed: 2), shape: [4, width]),
            ], elementsPerInput: 1000)
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-6)
    }

    @Test("negative tokens are rows of the virtual table, whatever is in front of them", arguments: [1, 8, 13])
    func virtualTokens(width: Int) {
        let (tokens, positions): ([Int32], [Int32]) = ([-1, -2, 4, 0, -3, 4, -1, 2], [0, 1, 2, 3, 0, 1, 2, 3])
        let found = deviation(
            of: {
                embed(
                    tokens: tokens, positions: positions, tokenTable: $0[0], virtualTable: $0[1], positionTable: $0[2])
            },
            from: { inputs in
                zip(tokens, positions).flatMap { token, position in
                    let (table, row) = token < 0 ? (inputs[1], -1 - Int(token)) : (inputs[0], Int(token))
                    return (0..<width).map { table[row * width + $0] + inputs[2][Int(position) * width + $0] }
                }
            },
            at: [5, 3, 4].map { Tensor(noise($0 * width, seed: UInt64($0)), shape: [$0, width]) },
            elementsPerInput: 1000)
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-6)
    }

    @Test("no token at all")
    func empty() {
        let y = embed(
            tokens: [], positions: [], tokenTable: Tensor(zeros: [3, 4]), positionTable: Tensor(zeros: [2, 4]))
        #expect(y.shape == [0, 4])
    }

    @Test("gradients are added to those of an earlier backward pass")
    func accumulates() {
        let (tokens, positions) = (Tensor(zeros: [2, 3]), Tensor(zeros: [1, 3]))
        tokens.track()
        for _ in 0..<2 {
            embed(tokens: [1, 1], positions: [0, 0], tokenTable: tokens, positionTable: positions).backward()
        }
        #expect(tokens.gradient?.values == [0, 0, 0, 4, 4, 4])
    }
}
