public import Tensors

/// How far an operation on floats is from the same formula in double precision.
public struct Deviation: Sendable {
    /// The largest difference of an output, relative to the largest output or 1, whichever is more.
    public var forward = 0.0
    /// The same of the gradient of each input, against central differences of the formula.
    public var backward = 0.0
}

/// Numbers that look random, are the same every time and lie in −1...1.
public func noise(_ count: Int, seed: UInt64 = 1, scale: Float = 1) -> [Float] {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1
    return (0..<count).map { _ in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return (Float(state >> 40) / Float(1 << 23) - 1) * scale
    }
}

/// Compares `operation` on tracked copies of `inputs` with `formula` on the same numbers as doubles.
///
/// The outputs are weighed unequally, so that errors don't cancel. Of large inputs every n-th element is checked.
public func deviation(
    of operation: ([Tensor]) -> Tensor, from formula: ([[Double]]) -> [Double], at inputs: [Tensor],
    elementsPerInput: Int = 64
) -> Deviation {
    let tracked = inputs.map { $0.copy() }
    for input in tracked { input.track() }
    let y = operation(tracked)
    let numbers = inputs.map { $0.values.map(Double.init) }
    let expected = formula(numbers)
    var result = Deviation()
    result.forward = largestDifference(y.values.map(Double.init), expected)
    let weights = noise(expected.count, seed: 99).map { $0 + 0.3 }
    y.backward(seed: Tensor(weights, shape: y.shape))
    for (index, input) in tracked.enumerated() {
        guard let gradient = input.gradient?.values else {
            result.backward = .infinity
            continue
        }
        let step = max(1, input.count / elementsPerInput)
        var pairs: (found: [Double], expected: [Double]) = ([], [])
        for element in stride(from: 0, to: input.count, by: step) {
            var moved = numbers
            func weighed(_ value: Double) -> Double {
                moved[index][element] = value
                return zip(formula(moved), weights).reduce(0) { $0 + $1.0 * Double($1.1) }
            }
            let h = 1e-5
            let x = numbers[index][element]
            pairs.found.append(Double(gradient[element]))
            pairs.expected.append((weighed(x + h) - weighed(x - h)) / (2 * h))
        }
        result.backward = max(result.backward, largestDifference(pairs.found, pairs.expected))
    }
    return result
}

/// The largest difference relative to the largest expected magnitude or 1, whichever is more; infinite where a number is
/// missing or isn't one.
public func largestDifference(_ found: [Double], _ expected: [Double]) -> Double {
    guard found.count == expected.count else { return .infinity }
    let scale = expected.reduce(1) { max($0, $1.magnitude) }
    var largest = 0.0
    for (a, b) in zip(found, expected) where a != b {
        let difference = (a - b).magnitude
        largest = difference.isNaN ? .infinity : max(largest, difference / scale)
    }
    return largest
}
