import Synchronization

/// An element of a tensor that is no finite number, or none where its type can't hold it.
public struct NonFiniteElement: Error, Sendable, Hashable, CustomStringConvertible {
    /// The index in each dimension, from 0.
    public let place: [Int]
    public let value: Float
    private let shape: [Int]

    /// `NaN in row 12, column 3`, counted from 0 as in Python.
    public var description: String {
        let name = value.isNaN ? "NaN" : value.isInfinite ? "infinity" : "\(value)"
        guard let column = place.last, shape.count > 1 else { return "\(name) at position \(place.last ?? 0)" }
        let row = zip(place, shape).dropLast().reduce(0) { $0 * $1.1 + $1.0 }
        return "\(name) in row \(row), column \(column)"
    }

    init(index: Int, shape: [Int], value: Float) {
        var place: [Int] = []
        var rest = index
        for size in shape.reversed() {
            place.insert(rest % size, at: 0)
            rest /= size
        }
        self.place = place
        self.value = value
        self.shape = shape
    }
}

extension Tensor {
    public var firstNonFinite: NonFiniteElement? {
        let bits = UnsafeRawPointer(data).assumingMemoryBound(to: UInt32.self)
        return Tensors.firstNonFinite(bits, count: count, exponent: 0x7F80_0000).map {
            NonFiniteElement(index: $0, shape: shape, value: data[$0])
        }
    }
}

extension HalfTensor {
    public var firstNonFinite: NonFiniteElement? {
        Tensors.firstNonFinite(data, count: count, exponent: format.exponentMask).map { index in
            var value: Float = 0
            format.convert(data + index, to: &value, count: 1)
            return NonFiniteElement(index: index, shape: shape, value: value)
        }
    }
}

extension HalfFormat {
    /// The bits that are all ones in infinities and NaN alone.
    fileprivate var exponentMask: UInt16 {
        switch self {
        case .bfloat16: 0x7F80
        case .float16: 0x7C00
        }
    }
}

/// Elements that one part looks at.
private let grain = 1 << 16

/// The index of the first word in which all bits of `exponent` are ones.
private func firstNonFinite<Word: FixedWidthInteger & Sendable>(
    _ words: UnsafePointer<Word>, count: Int, exponent: Word
) -> Int? {
    nonisolated(unsafe) let words = words
    let found = Atomic<Int>(Int.max)
    WorkerPool.shared.run(over: count, grain: grain) { range in
        if found.load(ordering: .relaxed) < range.lowerBound { return }
        if !holdsNonFinite(words + range.lowerBound, count: range.count, exponent: exponent) { return }
        if let index = range.first(where: { words[$0] & exponent == exponent }) {
            found.min(index, ordering: .relaxed)
        }
    }
    let index = found.load(ordering: .relaxed)
    return index == .max ? nil : index
}

/// By the largest word, as a loop that may end early isn't vectorised.
@inline(__always) private func holdsNonFinite<Word: FixedWidthInteger>(
    _ words: UnsafePointer<Word>, count: Int, exponent: Word
) -> Bool {
    var largest: Word = 0
    for i in 0..<count { largest = max(largest, words[i] & exponent) }
    return largest == exponent
}
