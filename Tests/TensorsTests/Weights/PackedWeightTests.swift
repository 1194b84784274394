import Synchronization
import Tensors
import TestSupport
import Testing

@Suite("A packed weight", .enabled(if: BlockProduct.isPreferred)) struct PackedWeightTests {
    /// Memory that says what was given back of it.
    private final class Lender: MemoryLender, @unchecked Sendable {
        let base: UnsafeMutableRawPointer
        let bytes: Int
        /// The parts from the largest on.
        let released = Mutex<[Int]>([])

        init(_ words: [UInt16]) {
            bytes = 2 * words.count
            base = .allocate(byteCount: bytes, alignment: 64)
            base.copyMemory(from: words, byteCount: bytes)
        }

        init(_ floats: [Float]) {
            bytes = 4 * floats.count
            base = .allocate(byteCount: bytes, alignment: 64)
            base.copyMemory(from: floats, byteCount: bytes)
        }

        func releasePages(of memory: UnsafeRawBufferPointer) {
            released.withLock { $0 = ($0 + [memory.count]).sorted(by: >) }
        }

        deinit { base.deallocate() }
    }

    /// A tensor of a mapped file.
    private func mapped(_ shape: [Int], _ format: HalfFormat?) -> (tensor: any StoredTensor, lender: Lender) {
        let values = noise(shape.reduce(1, *), seed: 7)
        guard let format else {
            let lender = Lender(values)
            let data = UnsafePointer(lender.base.assumingMemoryBound(to: Float.self))
            return (Tensor(readOnly: data, shape: shape, owner: lender), lender)
        }
        let lender = Lender(values.map { format == .float16 ? Float16($0).bitPattern : UInt16($0.bitPattern >> 16) })
        let data = UnsafePointer(lender.base.assumingMemoryBound(to: UInt16.self))
        return (HalfTensor(data, format, shape: shape, owner: lender), lender)
    }

    @Test(
        "gives the bits of what it was copied from, both ways",
        arguments: [nil, HalfFormat.bfloat16, .float16], [(1, 1), (5, 3), (16, 32), (50, 17), (390, 100), (33, 1201)])
    func products(format: HalfFormat?, size: (inputs: Int, outputs: Int)) throws {
        let (inputs, outputs) = size
        for isInputByOutput in [false, true] {
            let (tensor, lender) = mapped(isInputByOutput ? [inputs, outputs] : [outputs, inputs], format)
            let packed = try #require(PackedWeight(tensor, isInputByOutput: isInputByOutput))
            #expect(packed.source === tensor && packed.trainable == nil)
            let released = lender.released.withLock { $0 }
            #expect(released.first == lender.bytes)
            // By parts where they are whole rows of the file.
            #expect(released.dropFirst().reduce(0, +) == (isInputByOutput ? 0 : lender.bytes))
            #expect(packed.inputSize == inputs && packed.outputSize == outputs)
            let plain = tensor.weight(isInputByOutput: isInputByOutput)
            for rows in [1, 2, 3, 4, 7, 16, 40, 130] {
                let x = noise(rows * inputs)
                #expect(forward(packed, x, rows) == forward(plain, x, rows), "\(rows) rows")
                let dy = noise(rows * outputs, seed: 2)
                #expect(backward(packed, dy, rows) == backward(plain, dy, rows), "\(rows) rows")
            }
        }
    }

    /// Computed once afresh and once on top.
    private func forward(_ weight: any BaseWeight, _ x: [Float], _ rows: Int) -> [Float] {
        let y = Tensor(uninitialized: [rows, weight.outputSize])
        weight.multiply(x, rows: rows, into: y.data, beta: 0, byRow: true, epilogue: nil)
        weight.multiply(x, rows: rows, into: y.data, beta: 1, byRow: true, epilogue: nil)
        return y.values
    }

    private func backward(_ weight: any BaseWeight, _ dy: [Float], _ rows: Int) -> [Float] {
        let dx = Tensor(uninitialized: [rows, weight.inputSize])
        weight.multiplyTransposed(dy, rows: rows, into: dx.data, beta: 0)
        weight.multiplyTransposed(dy, rows: rows, into: dx.data, beta: 1)
        return dx.values
    }

    @Test("isn't made of what has memory of its own, which would be there twice")
    func ownMemory() {
        #expect(!Tensor(zeros: [4, 4]).isMapped && PackedWeight(Tensor(zeros: [4, 4]), isInputByOutput: false) == nil)
        let (empty, _) = mapped([0, 4], nil)
        #expect(empty.isMapped && PackedWeight(empty, isInputByOutput: false) == nil)
    }
}
