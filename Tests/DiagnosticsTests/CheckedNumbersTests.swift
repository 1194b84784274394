import Diagnostics
import Testing

struct CheckedNumbersTests {
    @Test("a product of sizes, where there is one")
    func products() {
        #expect(Int.product(of: []) == 1)
        #expect(Int.product(of: [3, 0, 5]) == 0)
        #expect(Int.product(of: [1 << 31, 1 << 31]) == 1 << 62)
        #expect(Int.product(of: [1 << 32, 1 << 31]) == nil)
        #expect(Int.product(of: [-1, 2]) == nil)
        #expect(Int.product(of: [0, -1]) == nil)
        #expect(Int.product(of: [.max, .max, 0]) == nil)
    }

    @Test("numbers out of range become the nearest integer")
    func clamping() {
        #expect(Int(clamping: 3.9) == 3)
        #expect(Int(clamping: -3.9) == -3)
        #expect(Int(clamping: 1e300) == .max)
        #expect(Int(clamping: 0x1p63) == .max)
        #expect(Int(clamping: -.infinity) == .min)
        #expect(Int(clamping: .nan) == 0)
        #expect(7.multipliedClamping(by: 6) == 42)
        #expect(Int.max.multipliedClamping(by: 2) == .max)
        #expect(2.addingClamping(3) == 5)
        #expect(Int.max.addingClamping(1) == .max)
    }
}
