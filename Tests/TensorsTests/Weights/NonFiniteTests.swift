import Tensors
import TestSupport
import Testing

@Suite("The first element that is no finite number") struct NonFiniteTests {
    private static let sizes = [1, 7, 8, 9, 65_535, 65_536, 200_003]

    @Test("is found among floats wherever it stands", arguments: sizes, [Float.nan, .infinity, -.infinity])
    func floats(count: Int, value: Float) {
        var values = noise(count)
        values[0] = .greatestFiniteMagnitude
        #expect(Tensor(values, shape: [count]).firstNonFinite == nil)
        for place in Set([0, count / 2, count - 1]) {
            var broken = values
            broken[place] = value
            // A later one doesn't count.
            broken[count - 1] = value
            let found = Tensor(broken, shape: [count]).firstNonFinite
            #expect(found?.place == [place])
            #expect(found?.value.bitPattern == value.bitPattern)
        }
    }

    @Test("is found among numbers of 16 bits", arguments: [HalfFormat.float16, .bfloat16], sizes)
    func halves(format: HalfFormat, count: Int) {
        let (largest, infinity): (UInt16, UInt16) = format == .float16 ? (0x7BFF, 0xFC00) : (0x7F7F, 0xFF80)
        var bits = [UInt16](repeating: largest, count: count)
        func first() -> NonFiniteElement? {
            let owner = Owner(bits)
            return HalfTensor(owner.memory, format, shape: [1, count], owner: owner).firstNonFinite
        }
        #expect(first() == nil)
        bits[count - 1] = infinity
        #expect(first()?.description == "infinity in row 0, column \(count - 1)")
        bits[count / 2] = infinity | 1
        #expect(first()?.description == "NaN in row 0, column \(count / 2)")
    }

    @Test("is named by its place in every dimension")
    func places() {
        var values = noise(24)
        values[17] = .infinity
        #expect(Tensor(values, shape: [2, 3, 4]).firstNonFinite?.description == "infinity in row 4, column 1")
        #expect(Tensor([.nan], shape: []).firstNonFinite?.description == "NaN at position 0")
        #expect(Tensor([1, .nan], shape: [2]).firstNonFinite?.description == "NaN at position 1")
        #expect(Tensor([], shape: [0, 4]).firstNonFinite == nil)
    }

    private final class Owner {
        let memory: UnsafeMutablePointer<UInt16>
        init(_ bits: [UInt16]) {
            memory = .allocate(capacity: bits.count)
            memory.initialize(from: bits, count: bits.count)
        }
        deinit { memory.deallocate() }
    }
}
