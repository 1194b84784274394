/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number below `bound`, all equally likely (Lemire, "Fast random integer generation in an interval", 2019).
    mutating func next(below bound: UInt64) -> UInt64 {
        var product = next().multipliedFullWidth(by: bound)
        if product.low < bound {
            let threshold = (0 &- bound) % bound
            while product.low < threshold { product = next().multipliedFullWidth(by: bound) }
        }
        return product.high
    }
}

/// The numbers 0 to `count` - 1 in the order of `epoch`, the same for the same seed wherever and whenever.
package func permutation(of count: Int, seed: UInt64, epoch: Int) -> [Int32] {
    var seeding = SplitMix64(state: seed)
    var generator = SplitMix64(state: seeding.next() ^ UInt64(epoch) &* 0xD134_2543_DE82_EF95)
    var order = (0..<Int32(count)).map { $0 }
    for index in stride(from: count - 1, to: 0, by: -1) {
        order.swapAt(index, Int(generator.next(below: UInt64(index) + 1)))
    }
    return order
}
