import Batches
import Diagnostics
import Layers
import Tensors
import Testing

/// Calls with shapes that don't fit, each in a process of its own that has to end.
struct LayerShapeCheckTests {
    @Test("the process ends, and says what doesn't fit", arguments: misuses.indices)
    func ends(index: Int) async throws {
        let result = try await #require(processExitsWith: .exitCode(70), observing: [\.standardErrorContent]) {
            [index = index as Int] in
            misuses[index].call()
        }
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(text == "peft: error: \(misuses[index].message)\n\(Problem.defectNotice)\n")
    }
}

private let heads = AttentionHeads(count: 1, keyValueCount: 1, size: 2)

private func attend(rows: Int, width: Int, offsets: [Int], layer: Int) {
    let cache = KeyValueCache(layerCount: 1, sequences: 1, capacity: 2, width: 2)
    _ = cache.attend(.packed(Tensor(zeros: [rows, width])), layer: layer, offsets: offsets, heads: heads, scale: 1)
}

private let words = "AttentionHeads(count: 1, keyValueCount: 1, size: 2)"

private let misuses: [(message: String, call: @Sendable () -> Void)] = [
    (
        "TokenBatch: uneven rows",
        { _ = TokenBatch(tokens: [1, 2], positions: [0], offsets: [0, 2], labels: [-1, -1]) }
    ),
    (
        "TokenBatch: offsets [0, 1] of 2 rows",
        { _ = TokenBatch(tokens: [1, 2], positions: [0, 1], offsets: [0, 1], labels: [-1, -1]) }
    ),
    (
        "TokenBatch: offsets [0, 3, 2] of 2 rows",
        { _ = TokenBatch(tokens: [1, 2], positions: [0, 1], offsets: [0, 3, 2], labels: [-1, -1]) }
    ),
    (
        "TokenBatch: 3 virtual tokens before position 2",
        { _ = TokenBatch(sequences: [[1]]).prepending(virtualTokens: 3, positionOffset: 2) { _ in true } }
    ),
    (
        "KeyValueCache: qkv [1, 5] for \(words), offsets [0, 1] of 1 sequences, layer 0 of 1",
        { attend(rows: 1, width: 5, offsets: [0, 1], layer: 0) }
    ),
    (
        "KeyValueCache: qkv [1, 6] for \(words), offsets [0, 1] of 1 sequences, layer 1 of 1",
        { attend(rows: 1, width: 6, offsets: [0, 1], layer: 1) }
    ),
    (
        "KeyValueCache: 3 more than 0 tokens of width 2 in [2, 2]",
        { attend(rows: 3, width: 6, offsets: [0, 3], layer: 0) }
    ),
    (
        "Parameter: w of shape [2]",
        { Parameter(name: "w", tensor: Tensor(zeros: [2])).tensor = Tensor(zeros: [3]) }
    ),
]
