import Tensors

/// Adapters' tensors of one place, each with its weight, made one: as peft computes it, in single precision.
package struct TaskArithmetic {
    package var type: CombinationType
    package var density: Double
    package var majoritySign: CombinationSettings.MajoritySign

    package init(type: CombinationType, density: Double, majoritySign: CombinationSettings.MajoritySign) {
        (self.type, self.density, self.majoritySign) = (type, density, majoritySign)
    }

    /// Σ wᵢ tᵢ of what pruning leaves of each tᵢ; or, where signs are elected, at each place the mean of those wᵢ tᵢ whose
    /// tᵢ has the elected sign.
    ///
    /// - Parameter keeps: Whether a number stays where they are dropped at random, for the tensor's index; called for each
    ///   number in order.
    package func combined(_ tensors: [[Float]], weights: [Float], keeps: (Int) -> () -> Bool) -> [Float] {
        let pruned = tensors.enumerated().map { index, tensor in
            if !type.prunes || density >= 1 { return tensor }
            return type.isRandom ? dropped(tensor, keeps(index)) : largest(of: tensor)
        }
        var result = [Float](repeating: 0, count: tensors[0].count)
        for place in result.indices {
            if type.electsSigns {
                result[place] = electedMean(pruned, weights, place)
            } else {
                var sum: Float = 0
                for (tensor, weight) in zip(pruned, weights) { sum += tensor[place] * weight }
                result[place] = sum
            }
        }
        return result
    }

    private func electedMean(_ tensors: [[Float]], _ weights: [Float], _ place: Int) -> Float {
        var votes: Float = 0
        for tensor in tensors {
            let value = tensor[place]
            votes += majoritySign == .total ? value : value > 0 ? 1 : value < 0 ? -1 : 0
        }
        var (sum, count): (Float, Float) = (0, 0)
        for (tensor, weight) in zip(tensors, weights) where votes >= 0 ? tensor[place] > 0 : tensor[place] < 0 {
            sum += tensor[place] * weight
            count += 1
        }
        return sum / max(1, count)
    }

    /// What is left is divided by the density, so that the mean over all choices is the tensor (Yu et al. 2023).
    private func dropped(_ tensor: [Float], _ keeps: () -> Bool) -> [Float] {
        tensor.map { keeps() ? $0 / Float(density) : 0 }
    }

    /// The tensor with its ⌊density · n⌋ numbers of the largest magnitude, the first of equals, and 0 elsewhere.
    private func largest(of tensor: [Float]) -> [Float] {
        let count = Int(density * Double(tensor.count))
        if count == 0 { return [Float](repeating: 0, count: tensor.count) }
        let (smallest, above) = Self.bits(ofLargest: count, of: tensor)
        var equals = count - above
        return tensor.map { value in
            let bits = value.magnitude.bitPattern
            if bits > smallest { return value }
            if bits < smallest || equals == 0 { return 0 }
            equals -= 1
            return value
        }
    }

    /// The bits of the `count`-th largest magnitude, which are ordered as the numbers are, and how many are larger: by
    /// counting the upper halves, then the lower ones of those in question.
    private static func bits(ofLargest count: Int, of tensor: [Float]) -> (bits: UInt32, above: Int) {
        func place(_ counts: [Int], _ above: inout Int) -> UInt32 {
            var index = counts.count - 1
            while above + counts[index] < count {
                above += counts[index]
                index -= 1
            }
            return UInt32(index)
        }
        var above = 0
        var counts = [Int](repeating: 0, count: 1 << 16)
        for value in tensor { counts[Int(value.magnitude.bitPattern >> 16)] += 1 }
        let upper = place(counts, &above)
        counts = [Int](repeating: 0, count: 1 << 16)
        for value in tensor where value.magnitude.bitPattern >> 16 == upper {
            counts[Int(value.magnitude.bitPattern & 0xFFFF)] += 1
        }
        return (upper << 16 | place(counts, &above), above)
    }
}
