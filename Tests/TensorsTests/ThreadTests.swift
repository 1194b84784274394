import Synchronization
import Tensors
import Testing
import TestSupport

/// What depends on the number of threads, which all tests of the process share.
@Suite(.serialized)
struct ThreadTests {
    /// Whether `compute` gives the same bits with 1, 2, 3 and 4 threads.
    private func isIndependentOfThreads(_ compute: () -> [[Float]]) -> Bool {
        let before = WorkerPool.shared.threadCount
        defer { WorkerPool.shared.threadCount = before }
        let results = (1...4).map { threads in
            WorkerPool.shared.threadCount = threads
            return compute().map { $0.map(\.bitPattern) }
        }
        return results.allSatisfy { $0 == results[0] }
    }

    private func results(of operation: ([Tensor]) -> Tensor, at inputs: [Tensor]) -> [[Float]] {
        let tracked = inputs.map { $0.copy() }
        for input in tracked { input.track() }
        let y = operation(tracked)
        let values = y.values
        y.backward(seed: Tensor(noise(y.count, seed: 5), shape: y.shape))
        return [values] + tracked.map { $0.gradient?.values ?? [] }
    }

    @Test(
        "matrix products",
        arguments: [(1, 3000, 700), (100, 2304, 768), (301, 777, 130), (1000, 500, 300), (40, 90, 17001)])
    func products(m: Int, n: Int, k: Int) {
        let (a, b) = (Tensor(noise(m * k), shape: [m, k]), Tensor(noise(k * n, seed: 2), shape: [k, n]))
        let same = isIndependentOfThreads {
            let c = Tensor(uninitialized: [m, n])
            multiply(
                Matrix(a.data, rows: m, columns: k), Matrix(b.data, rows: k, columns: n), into: c.data, stride: n,
                alpha: 1, beta: 0)
            return [c.values]
        }
        #expect(same)
    }

    @Test(
        "matrix products in our own kernels",
        arguments: [(1, 3000, 700), (16, 700, 768), (100, 2304, 768), (301, 777, 130), (40, 90, 17001)])
    func blockProducts(m: Int, n: Int, k: Int) {
        let (a, b) = (Tensor(noise(m * k), shape: [m, k]), Tensor(noise(k * n, seed: 2), shape: [k, n]))
        let same = isIndependentOfThreads {
            [false, true].filter { !$0 || Processor.hasBFloat16Products }.map { isRounding in
                let c = Tensor(uninitialized: [m, n])
                BlockProduct.run(
                    Matrix(a.data, rows: m, columns: k),
                    BlockOperand(b.data, nil, .byRows, rows: k, columns: n, stride: n), into: c.data, stride: n,
                    adding: false, isRounding: isRounding, epilogue: nil)
                return c.values
            }
        }
        #expect(same)
    }

    @Test("a large weight of 16-bit numbers, both ways")
    func halfWeightBits() {
        let (rows, inputs) = (70, 900)
        let outputs = HalfWeight.wholeLimit / inputs + 1001
        let bits = noise(inputs * outputs).map { UInt16(truncatingIfNeeded: $0.bitPattern >> 16) }
        let (x, dy) = (Tensor(noise(rows * inputs), shape: [rows, inputs]), noise(rows * outputs, seed: 2))
        bits.withUnsafeBufferPointer { bits in
            guard let data = bits.baseAddress else { return }
            let tensor = HalfTensor(data, .bfloat16, shape: [outputs, inputs], owner: x)
            let weight = HalfWeight(tensor, isInputByOutput: false)
            let same = isIndependentOfThreads {
                let y = Tensor(uninitialized: [rows, outputs])
                let dx = Tensor(uninitialized: [rows, inputs])
                weight.multiply(x.data, rows: rows, into: y.data, beta: 0, byRow: true, epilogue: nil)
                weight.multiplyTransposed(dy, rows: rows, into: dx.data, beta: 0)
                return [y.values, dx.values]
            }
            #expect(same)
        }
    }

    @Test(
        "a weight of 4 or 8 bits, and its products, both ways",
        arguments: [Quantization(.nf4, isDouble: true), Quantization(.int8)], [1, 70])
    func quantizedBits(kind: Quantization, rows: Int) {
        let (inputs, outputs) = (448, 1300)
        let source = Tensor(noise(inputs * outputs), shape: [outputs, inputs])
        let (x, dy) = (Tensor(noise(rows * inputs), shape: [rows, inputs]), noise(rows * outputs, seed: 2))
        let same = isIndependentOfThreads {
            guard
                let tensor = try? QuantizedTensor.quantizing(
                    source, isInputByOutput: false, kind, originalType: "float32")
            else { return [[.nan]] }
            let weight = tensor.weight(isInputByOutput: false)
            let products = [true, false].map { byRow in
                let y = Tensor(uninitialized: [rows, outputs])
                weight.multiply(x.data, rows: rows, into: y.data, beta: 0, byRow: byRow, epilogue: nil)
                return y.values
            }
            let dx = Tensor(uninitialized: [rows, inputs])
            weight.multiplyTransposed(dy, rows: rows, into: dx.data, beta: 0)
            return products + [dx.values, tensor.scales.values, tensor.floats.values]
        }
        #expect(same)
    }

    @Test("attention, both ways")
    func attentionBits() {
        let heads = AttentionHeads(count: 4, keyValueCount: 2, size: 24)
        let qkv = Tensor(noise(430 * heads.packedWidth, scale: 2), shape: [430, heads.packedWidth])
        let thinning = Dropout(probability: 0.1, key: 8)
        let same = isIndependentOfThreads {
            results(
                of: {
                    attention(
                        .packed($0[0]), offsets: [0, 300, 301, 430], heads: heads, scale: 0.2, isCausal: true,
                        dropout: thinning)
                }, at: [qkv])
        }
        #expect(same)
        let prefix = (1...2).map { Tensor(noise(17 * 48, seed: UInt64($0), scale: 2), shape: [17, 48]) }
        let sameWithPrefix = isIndependentOfThreads {
            results(
                of: {
                    attention(
                        .packed($0[0]), prefix: KeyValuePrefix(keys: $0[1], values: $0[2]),
                        offsets: [0, 300, 301, 430],
                        heads: heads, scale: 0.2, isCausal: true, dropout: thinning)
                }, at: [qkv] + prefix)
        }
        #expect(sameWithPrefix)
    }

    @Test("layer norm, activation, embedding, dropout, residual, both ways")
    func elementwiseBits() {
        let (rows, width) = (300, 200)
        let x = Tensor(noise(rows * width), shape: [rows, width])
        let thinning = Dropout(probability: 0.1, key: 8)
        let (weight, bias) = (Tensor(noise(width), shape: [width]), Tensor(noise(width, seed: 3), shape: [width]))
        let tokens = (0..<rows).map { Int32($0 * 7 % 23) }
        let same = isIndependentOfThreads {
            results(of: { layerNorm($0[0], weight: $0[1], bias: $0[2], epsilon: 1e-5) }, at: [x, weight, bias])
                + results(of: { activate($0[0], .geluNew) }, at: [x])
                + results(of: { dropout($0[0], thinning) }, at: [x])
                + results(of: { addResidual($0[0], $0[1], dropout: thinning) }, at: [x, x])
                + results(
                    of: { embed(tokens: tokens, positions: tokens, tokenTable: $0[0], positionTable: $0[1]) },
                    at: [x, x])
                + results(
                    of: {
                        embed(
                            tokens: tokens.map { $0 - 11 }, positions: tokens, tokenTable: $0[0], virtualTable: $0[1],
                            positionTable: $0[2])
                    }, at: [x, x, x])
        }
        #expect(same)
    }

    @Test("RMS norm, rotary positions, gated product, both ways")
    func gatedBits() {
        let (rows, width) = (300, 384)
        let x = Tensor(noise(rows * width), shape: [rows, width])
        let gate = Tensor(noise(rows * width, seed: 2), shape: [rows, width])
        let weight = Tensor(noise(width, seed: 3), shape: [width])
        let table = RotaryTable(
            cosines: Tensor(noise(rows * 32, seed: 4), shape: [rows, 32]),
            sines: Tensor(noise(rows * 32, seed: 5), shape: [rows, 32]))
        let normed = isIndependentOfThreads {
            results(of: { rmsNorm($0[0], weight: $0[1], epsilon: 1e-5) }, at: [x, weight])
        }
        #expect(normed)
        let turned = isIndependentOfThreads {
            results(of: { rotary($0[0], positions: Array(0..<rows), table: table, headSize: 64) }, at: [x])
        }
        #expect(turned)
        let gated = isIndependentOfThreads {
            results(of: { gatedProduct($0[0], $0[1], activation: .silu) }, at: [gate, x])
        }
        #expect(gated)
    }

    @Test("cross-entropy, AdamW, sums of squares")
    func kernelBits() {
        let (rows, vocabulary) = (40, 5003)
        let logits = Tensor(noise(rows * vocabulary, scale: 5), shape: [rows, vocabulary])
        let labels = (0..<rows).map { Int32($0 * 100) }
        let same = isIndependentOfThreads {
            let (z, m, v) = (logits.copy(), Tensor(zeros: logits.shape), Tensor(zeros: logits.shape))
            var losses = [Float](repeating: 0, count: rows)
            softmaxCrossEntropyInPlace(
                logits: z.data, rows: rows, vocabulary: vocabulary, stride: vocabulary, labels: labels,
                smoothing: 0.1, scale: 0.1, losses: &losses)
            let p = logits.copy()
            adamW(
                parameter: p, gradient: z, firstMoment: m, secondMoment: v,
                AdamWStep(
                    learningRate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1, number: 1,
                    gradientScale: 1))
            let sum = sumOfSquares(p).bitPattern
            let halves = [Float(bitPattern: UInt32(sum >> 32)), Float(bitPattern: UInt32(truncatingIfNeeded: sum))]
            return [z.values, losses, p.values, m.values, v.values, halves]
        }
        #expect(same)
    }

    @Test("AdamW with moments in 8 bits")
    func codedMomentBits() {
        let count = 100_001
        let gradient = Tensor(noise(count), shape: [count])
        let same = isIndependentOfThreads {
            let p = Tensor(noise(count, seed: 2), shape: [count])
            let moments = (0..<2).map { _ in
                CodedMoment(codes: ByteTensor(zeros: [count]), scales: Tensor(zeros: [CodedMoment.blockCount(count)]))
            }
            for number in 1...3 {
                adamW8Bit(
                    parameter: p, gradient: gradient, firstMoment: moments[0], secondMoment: moments[1],
                    AdamWStep(
                        learningRate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1, number: number,
                        gradientScale: 1))
            }
            return [p.values] + moments.flatMap { [$0.scales.values, $0.codes.bytes.map { Float($0) }] }
        }
        #expect(same)
    }

    @Test("linear layers, low-rank terms and chosen rows, both ways")
    func linearBits() {
        let (rows, inputs, outputs, rank) = (301, 130, 400, 5)
        let x = [
            Tensor(noise(rows * inputs), shape: [rows, inputs]),
            Tensor(noise(inputs * outputs, seed: 2), shape: [inputs, outputs]),
            Tensor(noise(rank * inputs, seed: 3), shape: [rank, inputs]),
            Tensor(noise(outputs * rank, seed: 4), shape: [outputs, rank]),
            Tensor(noise(outputs, seed: 5), shape: [outputs]),
        ]
        let chosen = (0..<250).map { $0 * 6 % rows }
        let same = isIndependentOfThreads {
            results(
                of: { x in
                    let u = lowRankInput(x[0], x[2], scale: 0.5, dropout: Dropout(probability: 0.1, key: 3))
                    let weight = DenseWeight(x[1], isInputByOutput: true)
                    return gatherRows(
                        linear(
                            x[0], weight, bias: x[4], lowRank: LowRankTerm(u: u, b: x[3]), activation: .geluNew),
                        chosen)
                }, at: x)
        }
        #expect(same)
    }

    @Test("the loss of a language model in several chunks, both ways")
    func languageModelLossBits() {
        let (rows, width, vocabulary) = (190, 20, 2003)
        let x = [
            Tensor(noise(rows * width), shape: [rows, width]),
            Tensor(noise(vocabulary * width, seed: 2), shape: [vocabulary, width]),
            Tensor(noise(rows, seed: 3), shape: [rows, 1]),
            Tensor(noise(vocabulary, seed: 4), shape: [vocabulary, 1]),
        ]
        let labels = (0..<rows).map { Int32($0 * 1003 % vocabulary) }
        let same = isIndependentOfThreads {
            let tracked = x.map { $0.copy() }
            for input in tracked { input.track() }
            let loss = languageModelLoss(
                tracked[0], labels: labels, head: DenseWeight(tracked[1], isInputByOutput: false),
                lowRank: LowRankTerm(u: tracked[2], b: tracked[3]), smoothing: 0.2, scale: 0.1,
                chunkBytes: 4 * vocabulary * 70)
            loss.tensor.backward()
            return [loss.tensor.values] + tracked.map { $0.gradient?.values ?? [] }
        }
        #expect(same)
    }

    @Test("the steps of optimizers", arguments: [(3, 5), (700, 65), (40, 1003)])
    func optimizers(m: Int, n: Int) {
        let gradient = Tensor(noise(m * n, seed: 2), shape: [m, n])
        let same = isIndependentOfThreads {
            let tensors = (0..<7).map { Tensor(noise(m * n, seed: UInt64($0 + 3)), shape: [m, n]) }
            let (rows, columns) = (Tensor(zeros: [m]), Tensor(zeros: [n]))
            adafactor(
                parameter: tensors[0], gradient: gradient, rowMeans: rows, columnMeans: columns,
                AdafactorStep(
                    learningRate: 0.05, weightDecay: 0.1, number: 2, decayRate: -0.8, clipThreshold: 1, epsilon: 1e-30,
                    gradientScale: 0.5))
            lion(
                parameter: tensors[1], gradient: gradient, moment: tensors[2],
                LionStep(learningRate: 0.01, beta1: 0.9, beta2: 0.99, weightDecay: 0.1, gradientScale: 0.5))
            gradientDescent(
                parameter: tensors[3], gradient: gradient, buffer: tensors[4],
                SGDStep(
                    learningRate: 0.1, momentum: 0.9, dampening: 0.1, isNesterov: false, weightDecay: 0.1,
                    gradientScale: 0.5))
            rmsProp(
                parameter: tensors[5], gradient: gradient, squares: Tensor(repeating: 0.5, [m, n]),
                buffer: tensors[6],
                RMSPropStep(
                    learningRate: 0.1, alpha: 0.9, epsilon: 1e-8, momentum: 0.9, weightDecay: 0.1, gradientScale: 0.5))
            return (tensors + [rows, columns]).map(\.values)
        }
        #expect(same)
    }

    @Test("every part of many small runs is done exactly once, nested runs included")
    func pool() {
        let before = WorkerPool.shared.threadCount
        defer { WorkerPool.shared.threadCount = before }
        for threads in [1, 2, 4, 3] {
            WorkerPool.shared.threadCount = threads
            for round in 0..<2000 {
                let count = round % 17
                var done = [Int32](repeating: 0, count: count)
                done.withUnsafeMutableBufferPointer { done in
                    nonisolated(unsafe) let done = done
                    WorkerPool.shared.run(count) { done[$0] += 1 }
                }
                #expect(done.allSatisfy { $0 == 1 })
            }
            let total = Atomic<Int>(0)
            WorkerPool.shared.run(50) { outer in
                WorkerPool.shared.run(20) { inner in total.add(outer * 20 + inner, ordering: .relaxed) }
            }
            #expect(total.load(ordering: .relaxed) == 999 * 1000 / 2)
        }
    }

    @Test("ranges cover the whole exactly once", arguments: [(0, 4), (1, 4), (4, 4), (1001, 10)])
    func ranges(total: Int, grain: Int) {
        let seen = Mutex([Range<Int>]())
        WorkerPool.shared.run(over: total, grain: grain) { range in seen.withLock { $0.append(range) } }
        let ranges = seen.withLock { $0.sorted { $0.lowerBound < $1.lowerBound } }
        #expect(ranges.flatMap { Array($0) } == Array(0..<total))
        #expect(ranges.allSatisfy { $0.count <= grain })
    }
}
