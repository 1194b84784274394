import CVectors
import Diagnostics
import Glibc

/// The pieces of a cross-entropy whose logits exist only a chunk at a time, in scratch memory.
///
/// Row i of the chunk starts at `logits + i * stride`, holds `vocabulary` logits z and has the label tᵢ. Writes
/// lossesᵢ = log Σ exp z − z[tᵢ] and overwrites the row with what it contributes to the logits' gradient,
/// (softmax(z) − onehot(tᵢ)) · scale.
///
/// With a `smoothing` ε the label counts 1 − ε and every entry of the vocabulary ε / V (Szegedy et al. 2016):
/// lossesᵢ = log Σ exp z − (1 − ε) z[tᵢ] − ε mean z.
package func softmaxCrossEntropyInPlace(
    logits: UnsafeMutablePointer<Float>, rows: Int, vocabulary: Int, stride: Int, labels: UnsafePointer<Int32>,
    smoothing: Double, scale: Float, losses: UnsafeMutablePointer<Float>
) {
    let everywhere = Float(-Double(scale) * smoothing / Double(vocabulary))
    let atLabel = Float(Double(scale) * (1 - smoothing))
    WorkerPool.shared.run(over: rows, grain: rowGrain(vocabulary)) { range in
        for row in range {
            let z = logits + row * stride
            let label = checked(labels[row], vocabulary)
            let target = smoothedTarget(z, label, vocabulary, smoothing)
            let largest = rowMaximum(z, count: vocabulary)
            let sum = sumOfExponentials(z, count: vocabulary, largest: largest, storing: z)
            losses[row] = Float(Double(largest) - target + log(sum))
            let factor = Float(Double(scale) / sum)
            var j = 0
            if smoothing > 0 {
                let share = Lanes(repeating: everywhere)
                while j + 8 <= vocabulary {
                    z.setLanes(j, share.addingProduct(z.lanes(j), Lanes(repeating: factor)))
                    j += 8
                }
                while j < vocabulary {
                    z[j] = z[j] * factor + everywhere
                    j += 1
                }
            }
            while j + 8 <= vocabulary {
                z.setLanes(j, z.lanes(j) * factor)
                j += 8
            }
            while j < vocabulary {
                z[j] *= factor
                j += 1
            }
            z[label] -= atLabel
        }
    }
}

/// The losses alone; the logits stay as they are.
package func softmaxCrossEntropy(
    logits: UnsafePointer<Float>, rows: Int, vocabulary: Int, stride: Int, labels: UnsafePointer<Int32>,
    smoothing: Double, losses: UnsafeMutablePointer<Float>
) {
    WorkerPool.shared.run(over: rows, grain: rowGrain(vocabulary)) { range in
        for row in range {
            let z = logits + row * stride
            let largest = rowMaximum(z, count: vocabulary)
            let sum = sumOfExponentials(z, count: vocabulary, largest: largest, storing: nil)
            let target = smoothedTarget(z, checked(labels[row], vocabulary), vocabulary, smoothing)
            losses[row] = Float(Double(largest) - target + log(sum))
        }
    }
}

/// −log p of some tokens by one row of logits.
package func crossEntropies(of tokens: [Int32], in logits: Tensor, row: Int) -> [Double] {
    let vocabulary = logits.columnCount
    require(row >= 0 && row < logits.rowCount, "crossEntropies: row \(row) of \(logits.shape)")
    let z = logits.data + row * vocabulary
    let largest = rowMaximum(z, count: vocabulary)
    let sum = sumOfExponentials(z, count: vocabulary, largest: largest, storing: nil)
    return withExtendedLifetime(logits) {
        tokens.map { Double(Float(Double(largest) - Double(z[checked($0, vocabulary)]) + log(sum))) }
    }
}

/// log Σ exp z of each row.
package func logSums(_ rows: Tensor) -> [Double] {
    parallelMap(rows.rowCount) { row in
        let z = UnsafePointer(rows.data + row * rows.columnCount)
        let largest = rowMaximum(z, count: rows.columnCount)
        return Double(largest) + log(sumOfExponentials(z, count: rows.columnCount, largest: largest, storing: nil))
    }
}

@inline(__always) private func checked(_ label: Int32, _ vocabulary: Int) -> Int {
    require(label >= 0 && Int(label) < vocabulary, "softmaxCrossEntropy: label \(label) of \(vocabulary)")
    return Int(label)
}

/// (1 − ε) z[t] + ε mean z.
@inline(__always) private func smoothedTarget(
    _ z: UnsafePointer<Float>, _ label: Int, _ vocabulary: Int, _ smoothing: Double
) -> Double {
    let target = Double(z[label])
    return smoothing > 0 ? (1 - smoothing) * target + smoothing * mean(z, count: vocabulary) : target
}

private func mean(_ z: UnsafePointer<Float>, count: Int) -> Double {
    var sum = 0.0
    var j = 0
    while j + 8 <= count {
        let end = min(count & ~7, j + 512)
        var partial = Lanes(repeating: 0)
        while j < end {
            partial += z.lanes(j)
            j += 8
        }
        sum += Double(partial.total)
    }
    while j < count {
        sum += Double(z[j])
        j += 1
    }
    return sum / Double(count)
}

private func rowMaximum(_ z: UnsafePointer<Float>, count: Int) -> Float {
    var maxima = (Lanes(repeating: -.infinity), Lanes(repeating: -.infinity))
    var j = 0
    while j + 16 <= count {
        maxima.0 = peft_max(maxima.0, z.lanes(j))
        maxima.1 = peft_max(maxima.1, z.lanes(j + 8))
        j += 16
    }
    var largest = peft_max(maxima.0, maxima.1).largest
    while j < count {
        largest = max(largest, z[j])
        j += 1
    }
    return largest
}

/// Σ exp(z − largest), summed as floats within blocks and as doubles over them; the exponentials go to `target`.
@inline(__always) private func sumOfExponentials(
    _ z: UnsafePointer<Float>, count: Int, largest: Float, storing target: UnsafeMutablePointer<Float>?
) -> Double {
    var sum = 0.0
    var j = 0
    while j + 8 <= count {
        let end = min(count & ~7, j + 512)
        var partial = Lanes(repeating: 0)
        while j < end {
            let value = exponentialOfNonPositive(z.lanes(j) - largest)
            target?.setLanes(j, value)
            partial += value
            j += 8
        }
        sum += Double(partial.total)
    }
    if j < count {
        let value = exponentialOfNonPositive(Lanes(z + j, count: count - j, otherwise: -.infinity) - largest)
        if let target { value.store(target + j, count: count - j) }
        sum += Double(value.total)
    }
    return sum
}
