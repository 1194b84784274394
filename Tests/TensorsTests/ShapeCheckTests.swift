import Diagnostics
import Tensors
import Testing
import TestSupport

/// Calls with shapes that don't fit, each in a process of its own that has to end, whatever the module's optimisation.
struct ShapeCheckTests {
    struct Misuse: Sendable, CustomTestStringConvertible {
        var message: String
        var call: @Sendable () -> Void

        init(_ message: String, _ call: @escaping @Sendable () -> Void) {
            self.message = message
            self.call = call
        }

        var testDescription: String { message }
    }

    @Test("the process ends, and names operation and shapes", arguments: misuses.indices)
    func ends(index: Int) async throws {
        let result = try await #require(processExitsWith: .exitCode(70), observing: [\.standardErrorContent]) {
            [index = index as Int] in
            misuses[index].call()
        }
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(text == "peft: error: \(misuses[index].message)\n\(Problem.defectNotice)\n")
    }

    @Test("no more memory than there can be", arguments: [[1 << 40, 1 << 40], [1 << 61, 2], [1 << 50, 1 << 5]])
    func memory(shape: [Int]) async throws {
        let result = try await #require(processExitsWith: .exitCode(71), observing: [\.standardErrorContent]) {
            [shape = shape as [Int]] in
            _ = Tensor(uninitialized: shape)
        }
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(text.hasPrefix("peft: error: out of memory: "))
        #expect(text.hasSuffix(" could not be had\n"))
    }
}

private func tensor(_ shape: Int...) -> Tensor { Tensor(zeros: shape) }

private func dense(_ outputs: Int, _ inputs: Int) -> DenseWeight {
    DenseWeight(tensor(outputs, inputs), isInputByOutput: false)
}

private func term(rows: Int, rank: Int, outputs: Int) -> LowRankTerm {
    LowRankTerm(u: tensor(rows, rank), b: tensor(outputs, rank))
}

private func blockProduct(_ a: Matrix) {
    BlockProduct.run(
        a, BlockOperand(tensor(4, 5).data, nil, .byRows, rows: 4, columns: 5, stride: 5), into: tensor(2, 5).data,
        stride: 5, adding: false, epilogue: nil)
}

private let heads = AttentionHeads(count: 2, keyValueCount: 1, size: 4)

private let misuses: [ShapeCheckTests.Misuse] = [
    .init("Tensor: 3 values for shape [2, 2]") { _ = Tensor([1, 2, 3], shape: [2, 2]) },
    .init("Tensor: shape [3] for 4 elements") { _ = tensor(2, 2).reshaped([3]) },
    .init("TensorStorage: shape [-1, 2]") { _ = Tensor(uninitialized: [-1, 2]) },
    .init("elements: 0..<5 of [2, 2]") { _ = tensor(2, 2).elements(0..<5) },
    .init("BlockProduct: [2, 3] by [4, 5]") { blockProduct(Matrix(tensor(2, 3).data, rows: 2, columns: 3)) },
    .init("PackedWeight: shape [2, 2, 2]") { _ = PackedWeight(tensor(2, 2, 2), isInputByOutput: false) },
    .init("copyRow: row 2 of [2, 3]") { tensor(2, 3).copyRow(2, to: tensor(3).data) },
    .init("addRow: row -1 of [2, 3]") { tensor(2, 3).addRow(-1, to: tensor(3).data) },
    .init("DenseWeight: shape [4]") { _ = DenseWeight(tensor(4), isInputByOutput: false) },
    .init("backward: a seed [1, 2] for [2, 1]") {
        let x = tensor(2, 1)
        x.track()
        activate(x, .relu).backward(seed: tensor(1, 2))
    },
    .init("rmsNorm: x [2, 4], weight [3]") { _ = rmsNorm(tensor(2, 4), weight: tensor(3), epsilon: 1e-5) },
    .init("gatedProduct: gate [2, 4], x [4, 2]") {
        _ = gatedProduct(tensor(2, 4), tensor(4, 2), activation: .silu)
    },
    .init("RotaryTable: cosines [3, 2], sines [2, 2]") {
        _ = RotaryTable(cosines: tensor(3, 2), sines: tensor(2, 2))
    },
    .init("rotary: x [2, 8] in heads of 4, 2 positions up to 3, a table of [3, 2]") {
        let table = RotaryTable(cosines: tensor(3, 2), sines: tensor(3, 2))
        _ = rotary(tensor(2, 8), positions: [0, 3], table: table, headSize: 4)
    },
    .init("linear: [2, 3] by a weight of 4 inputs and 5 outputs, bias [], low-rank term [] by []") {
        _ = linear(tensor(2, 3), dense(5, 4), bias: nil, lowRank: nil, activation: nil)
    },
    .init("linear: [2, 4] by a weight of 4 inputs and 5 outputs, bias [4], low-rank term [] by []") {
        _ = linear(tensor(2, 4), dense(5, 4), bias: tensor(4), lowRank: nil, activation: nil)
    },
    .init("linear: [2, 4] by a weight of 4 inputs and 5 outputs, bias [], low-rank term [1, 2] by [5, 2]") {
        _ = linear(
            tensor(2, 4), dense(5, 4), bias: nil, lowRank: term(rows: 1, rank: 2, outputs: 5), activation: nil)
    },
    .init("linear: [2, 4] by a weight of 4 inputs and 5 outputs, bias [], low-rank term [2, 2] by [6, 2]") {
        _ = linear(
            tensor(2, 4), dense(5, 4), bias: nil, lowRank: term(rows: 2, rank: 2, outputs: 6), activation: nil)
    },
    .init("LowRankTerm: u [2, 3], B [5, 2]") { _ = LowRankTerm(u: tensor(2, 3), b: tensor(5, 2)) },
    .init("lowRankInput: [2, 3] by [1, 4]") {
        _ = lowRankInput(tensor(2, 3), tensor(1, 4), scale: 1, dropout: nil)
    },
    .init("gatherRows: row 3 of [3, 2]") { _ = gatherRows(tensor(3, 2), [0, 3]) },
    .init("gatherRows: row -1 of [3, 2]") { _ = gatherRows(tensor(3, 2), [-1]) },
    .init("gatherRows: row 1 of [3, 2] twice") { _ = gatherRows(tensor(3, 2), [1, 0, 1]) },
    .init(
        "languageModelLoss: [2, 3] for 1 labels, a head of 3 inputs and 5 outputs, low-rank term [] by []"
    ) { _ = languageModelLoss(tensor(2, 3), labels: [0], head: dense(5, 3), lowRank: nil, smoothing: 0, scale: 1) },
    .init(
        "languageModelLoss: [2, 3] for 2 labels, a head of 4 inputs and 5 outputs, low-rank term [] by []"
    ) { _ = languageModelLoss(tensor(2, 3), labels: [0, 1], head: dense(5, 4), lowRank: nil, smoothing: 0, scale: 1) },
    .init("softmaxCrossEntropy: label 5 of 5") {
        _ = languageModelLoss(tensor(1, 3), labels: [5], head: dense(5, 3), lowRank: nil, smoothing: 0, scale: 1)
    },
    .init("softmaxCrossEntropy: label -1 of 5") { _ = logitsLoss(tensor(1, 5), labels: [-1], smoothing: 0, scale: 1) },
    .init("logitsLoss: [2, 5] for 1 labels") { _ = logitsLoss(tensor(2, 5), labels: [0], smoothing: 0, scale: 1) },
    .init("squaredError: [2, 1] for 1 targets") { _ = squaredError(tensor(2, 1), targets: [0], scale: 1) },
    .init("embed: 1 tokens, 2 positions, tables [4, 3], [], [5, 3]") {
        _ = embed(tokens: [0], positions: [0, 1], tokenTable: tensor(4, 3), positionTable: tensor(5, 3))
    },
    .init("embed: row 4 of a table [4, 3]") {
        _ = embed(tokens: [4], positions: [0], tokenTable: tensor(4, 3), positionTable: tensor(5, 3))
    },
    .init("embed: row 5 of a table [5, 3]") {
        _ = embed(tokens: [0], positions: [5], tokenTable: tensor(4, 3), positionTable: tensor(5, 3))
    },
    .init("embed: row 0 of a table []") {
        _ = embed(tokens: [-1], positions: [0], tokenTable: tensor(4, 3), positionTable: tensor(5, 3))
    },
    .init("embed: row 2 of a table [2, 3]") { _ = tableRows(tensor(2, 3), [2]) },
    .init("tableColumns: column 3 of a table [2, 3]") { _ = tableColumns(tensor(2, 3), [3]) },
    .init("overrideRows: [2, 3] by [1, 3], 1 choices") { _ = overrideRows(tensor(2, 3), tensor(1, 3), [nil]) },
    .init("overrideRows: row 1 of [1, 3]") { _ = overrideRows(tensor(2, 3), tensor(1, 3), [nil, 1]) },
    .init("AttentionHeads: 3 heads of 4 over 2 of keys and values") {
        _ = AttentionHeads(count: 3, keyValueCount: 2, size: 4)
    },
    .init(
        "attention: qkv [2, 15] for AttentionHeads(count: 2, keyValueCount: 1, size: 4), offsets [0, 2]"
    ) { _ = attention(.packed(tensor(2, 15)), offsets: [0, 2], heads: heads, scale: 1, isCausal: true, dropout: nil) },
    .init(
        "attention: qkv [2, 16] for AttentionHeads(count: 2, keyValueCount: 1, size: 4), offsets [0, 3]"
    ) { _ = attention(.packed(tensor(2, 16)), offsets: [0, 3], heads: heads, scale: 1, isCausal: true, dropout: nil) },
    .init(
        "attention: qkv [2, 16] for AttentionHeads(count: 2, keyValueCount: 1, size: 4), offsets [0, 3, 2]"
    ) {
        _ = attention(.packed(tensor(2, 16)), offsets: [0, 3, 2], heads: heads, scale: 1, isCausal: true, dropout: nil)
    },
    .init("attention: a bias [2, 3] from 1 for AttentionHeads(count: 2, keyValueCount: 1, size: 4)") {
        _ = attention(
            .packed(tensor(3, 16)), offsets: [0, 3], heads: heads, scale: 1, isCausal: true,
            bias: AttentionBias(table: tensor(2, 3), origin: 1), dropout: nil)
    },
    .init("attention: a prefix [2, 8] for AttentionHeads(count: 2, keyValueCount: 1, size: 4)") {
        _ = attention(
            .packed(tensor(2, 16)), prefix: KeyValuePrefix(keys: tensor(2, 8), values: tensor(2, 8)), offsets: [0, 2],
            heads: heads, scale: 1, isCausal: true, dropout: nil)
    },
    .init(
        "attention: queries [2, 8], keys [2, 4], values [2, 3] for AttentionHeads(count: 2, keyValueCount: 1, size: 4), "
            + "offsets [0, 2]"
    ) {
        _ = attention(
            .separate(queries: tensor(2, 8), keys: tensor(2, 4), values: tensor(2, 3)), offsets: [0, 2], heads: heads,
            scale: 1, isCausal: true, dropout: nil)
    },
    .init(
        "attention: queries [2, 8], keys [1, 4], values [1, 4] for AttentionHeads(count: 2, keyValueCount: 1, size: 4), "
            + "offsets [0, 2], keys' offsets [0, 1]"
    ) {
        _ = attention(
            .separate(queries: tensor(2, 8), keys: tensor(1, 4), values: tensor(1, 4)), offsets: [0, 2],
            keyOffsets: [0, 1], heads: heads, scale: 1, isCausal: true, dropout: nil)
    },
    .init(
        "attention: qkv [2, 16] for AttentionHeads(count: 2, keyValueCount: 1, size: 4), offsets [0, 2], window 0"
    ) {
        _ = attention(
            .packed(tensor(2, 16)), offsets: [0, 2], heads: heads, scale: 1, isCausal: true, window: 0, dropout: nil)
    },
    .init("attendCached: a window of 0 tokens") {
        _ = attendCached(tensor(1, 16), sequences: [], heads: heads, scale: 1, window: 0)
    },
    .init("writeKeysAndValues: rows 1..<3 of qkv [2, 16]") {
        AttentionInput.packed(tensor(2, 16)).writeKeysAndValues(
            of: 1..<3, heads, keys: tensor(8).data, values: tensor(8).data)
    },
    .init("KeyValuePrefix: keys [2, 4], values [1, 4]") {
        _ = KeyValuePrefix(keys: tensor(2, 4), values: tensor(1, 4))
    },
    .init("KeyValueRows: -1 tokens") { _ = KeyValueRows(keys: tensor(1).data, values: tensor(1).data, count: -1) },
    .init("CachedSequence: queries -1..<2 of 3 that are read") {
        _ = CachedSequence(rows: -1..<2, parts: [], readCount: 3)
    },
    .init("CachedSequence: queries 0..<2 of 1 that are read") {
        _ = CachedSequence(rows: 0..<2, parts: [], readCount: 1)
    },
    .init("attendCached: [2] queries of [1] tokens") {
        let sequence = CachedSequence(
            rows: 0..<2, parts: [.init(keys: tensor(4).data, values: tensor(4).data, count: 1)], readCount: 2)
        _ = attendCached(tensor(2, 16), sequences: [sequence], heads: heads, scale: 1)
    },
    .init(
        "attendCached: queries [1, 16] for AttentionHeads(count: 2, keyValueCount: 1, size: 4), rows [Range(0..<2)]"
    ) {
        let sequence = CachedSequence(
            rows: 0..<2, parts: [.init(keys: tensor(8).data, values: tensor(8).data, count: 2)], readCount: 2)
        _ = attendCached(tensor(1, 16), sequences: [sequence], heads: heads, scale: 1)
    },
    .init("layerNorm: x [2, 3], weight [3], bias [2]") {
        _ = layerNorm(tensor(2, 3), weight: tensor(3), bias: tensor(2), epsilon: 1e-5)
    },
    .init("addResidual: shapes [2, 3] and [3, 2]") { _ = addResidual(tensor(2, 3), tensor(3, 2), dropout: nil) },
    .init("scaleColumns: [2, 3] by [2], bias []") { _ = scaleColumns(tensor(2, 3), by: tensor(2), bias: nil) },
    .init("takeColumns: 1..<4 of every 3 of [2, 3]") { _ = sliceColumns(tensor(2, 3), 1..<4) },
    .init("concatenateColumns: [2, 3] and [1, 3]") { _ = concatenateColumns(tensor(2, 3), tensor(1, 3)) },
    .init("matrixProduct: [2, 3] by [2, 3]") {
        _ = matrixProduct(tensor(2, 3), transposingFirst: false, tensor(2, 3), transposingSecond: false, scale: 1)
    },
    .init("addProduct: [2, 3] by [3, 4] to [2, 3]") {
        addProduct(
            tensor(2, 3), transposingFirst: false, tensor(3, 4), transposingSecond: false, scale: 1, to: tensor(2, 3))
    },
    .init("elementwiseQuotient: shapes [2, 3] and [6]") {
        _ = elementwiseQuotient(tensor(2, 3), byConstant: tensor(6))
    },
    .init("elementwiseProduct: shapes [2, 3] and [6]") { _ = elementwiseProduct(tensor(2, 3), tensor(6)) },
    .init("kroneckerProduct: [2, 5] by [1, 2] ⊗ [1, 3]") {
        _ = kroneckerProduct(tensor(2, 5), tensor(1, 2), tensor(1, 3), scale: 1)
    },
    .init("columnProducts: [2, 3] by [2, 4]") { _ = columnProducts(tensor(2, 3), tensor(2, 4)) },
    .init("rowProducts: [2, 3] by [2, 4], 1 factors") { _ = rowProducts(tensor(2, 3), tensor(2, 4), scale: [1]) },
    .init("lstm: z [2, 8], recurrent [8, 3], bias [8]") {
        _ = lstm(tensor(2, 8), recurrent: tensor(8, 3), bias: tensor(8), isReversed: false)
    },
    .init("weightedSum: shapes [[2], [3]]") { _ = weightedSum([tensor(2), tensor(3)], factor: 1) },
    .init("adamW: parameter [2], gradient [3], moments of 2 and 2") {
        adamW(
            parameter: tensor(2), gradient: tensor(3), firstMoment: tensor(2), secondMoment: tensor(2),
            AdamWStep(
                learningRate: 1, beta1: 0, beta2: 0, epsilon: 1, weightDecay: 0, number: 1, gradientScale: 1))
    },
    .init("adamW8Bit: parameter [2], gradient [2], moments of 2 and 3") {
        func moment(_ count: Int) -> CodedMoment {
            CodedMoment(codes: ByteTensor(zeros: [count]), scales: Tensor(zeros: [1]))
        }
        adamW8Bit(
            parameter: tensor(2), gradient: tensor(2), firstMoment: moment(2), secondMoment: moment(3),
            AdamWStep(
                learningRate: 1, beta1: 0, beta2: 0, epsilon: 1, weightDecay: 0, number: 1, gradientScale: 1))
    },
    .init("CodedMoment: 1 scales for 257 codes") {
        _ = CodedMoment(codes: ByteTensor(zeros: [257]), scales: Tensor(zeros: [1]))
    },
    .init("GradientProjection: [2, 2] for [3, 3]") {
        GradientProjection(left: tensor(2, 3), right: nil).add(tensor(2, 2), to: tensor(3, 3))
    },
    .init("multiply: [2, 3] by [2, 3]") {
        let (a, c) = (tensor(2, 3), tensor(2, 3))
        multiply(
            Matrix(a.data, rows: 2, columns: 3), Matrix(a.data, rows: 2, columns: 3), into: c.data, stride: 3,
            alpha: 1, beta: 0)
    },
    .init("gemm: [20, 4294967296] by [4294967296, 1], rows 4294967296, 1, 1 apart") {
        let (a, c) = (tensor(1), tensor(1))
        gemm(
            Matrix(a.data, rows: 20, columns: 1 << 32), Matrix(a.data, rows: 1 << 32, columns: 1), into: c.data,
            stride: 1, alpha: 1, beta: 0)
    },
    .init("Dropout: a probability of 1.0") { _ = Dropout(probability: 1, key: 0) },
    .init("track: the memory of a mapped file cannot be trained") {
        let owner = tensor(2)
        Tensor(readOnly: owner.data, shape: [2], owner: owner).track()
    },
    .init("scaleInPlace: the memory of a mapped file cannot be changed") {
        let owner = tensor(2)
        scaleInPlace(Tensor(readOnly: owner.data, shape: [2], owner: owner), by: 2)
    },
]
