import Diagnostics
import Glibc

/// One direction of a layer of long short-term memory (Hochreiter and Schmidhuber 1997), as `torch.nn.LSTM` has it:
///
/// (i, f, g, o) = z_t + U h_{t−1} + b, each [h]; c_t = σ(f) ∘ c_{t−1} + σ(i) ∘ tanh(g); h_t = σ(o) ∘ tanh(c_t).
///
/// `z` [steps, 4h] is what the input contributes, W x + b; `recurrent` U [4h, h], `bias` [4h]. With `isReversed` it goes
/// from the last step to the first. Both memories begin at 0. Returns h [steps, h].
public func lstm(_ z: Tensor, recurrent: Tensor, bias: Tensor, isReversed: Bool) -> Tensor {
    let size = recurrent.columnCount
    require(
        z.columnCount == 4 * size && recurrent.rowCount == 4 * size && bias.count == 4 * size,
        "lstm: z \(z.shape), recurrent \(recurrent.shape), bias \(bias.shape)")
    let pass = LSTMPass(stepCount: z.rowCount, size: size, isReversed: isReversed)
    let y = Tensor(uninitialized: [z.rowCount, size])
    lstmForward(pass, z, recurrent, bias, into: y)
    let output = y.detached()
    // Every gradient follows from that of the gates.
    let gates = SharedGradient { dy in lstmBackward(pass, recurrent, dy) }
    return y.record([
        pullback(for: z) { dy, dz in dz.add(gates(dy)) },
        pullback(for: bias) { dy, db in biasGradient(gates(dy), &db) },
        pullback(for: recurrent) { dy, du in
            let (target, isFresh) = du.accumulator(shape: [4 * size, size])
            if isFresh { target.data.update(repeating: 0, count: target.count) }
            let da = gates(dy)
            for (step, before) in zip(pass.order.dropFirst(), pass.order) {
                // dU += da_t h_{t−1}ᵀ, a column times a row.
                WorkerPool.shared.run(over: 4 * size, grain: 256) { range in
                    for i in range {
                        let factor = da.data[step * 4 * size + i]
                        let (row, h) = (target.data + i * size, output.data + before * size)
                        for j in 0..<size { row[j] += factor * h[j] }
                    }
                }
            }
        },
    ])
}

/// What one run over the steps leaves for the way back.
private final class LSTMPass {
    let size: Int
    /// The steps as they are taken.
    let order: [Int]
    /// σ(i), σ(f), tanh(g), σ(o) by step, [steps, 4h]
    let activations: Tensor
    /// c by step, [steps, h]
    let cells: Tensor

    init(stepCount: Int, size: Int, isReversed: Bool) {
        self.size = size
        order = isReversed ? (0..<stepCount).reversed() : Array(0..<stepCount)
        activations = Tensor(uninitialized: [stepCount, 4 * size])
        cells = Tensor(uninitialized: [stepCount, size])
    }

    /// The step before the one at `index` of `order`.
    func previous(_ index: Int) -> Int? { index > 0 ? order[index - 1] : nil }
}

private func lstmForward(_ pass: LSTMPass, _ z: Tensor, _ u: Tensor, _ b: Tensor, into y: Tensor) {
    let size = pass.size
    for (index, step) in pass.order.enumerated() {
        let gates = pass.activations.data + step * 4 * size
        for j in 0..<4 * size { gates[j] = z.data[step * 4 * size + j] + b.data[j] }
        if let previous = pass.previous(index) {
            multiply(
                Matrix(y.data + previous * size, rows: 1, columns: size),
                Matrix(u.data, rows: size, columns: 4 * size, isTransposed: true), into: gates, stride: 4 * size,
                alpha: 1, beta: 1)
        }
        let before = pass.previous(index).map { pass.cells.data + $0 * size }
        let (cells, output) = (pass.cells.data + step * size, y.data + step * size)
        WorkerPool.shared.run(over: size, grain: 128) { range in
            for j in range {
                gates[j] = logistic(gates[j])
                gates[size + j] = logistic(gates[size + j])
                gates[2 * size + j] = tanh(gates[2 * size + j])
                gates[3 * size + j] = logistic(gates[3 * size + j])
                cells[j] = gates[size + j] * (before?[j] ?? 0) + gates[j] * gates[2 * size + j]
                output[j] = gates[3 * size + j] * tanh(cells[j])
            }
        }
    }
}

/// The gradient of the gates before their functions, [steps, 4h].
private func lstmBackward(_ pass: LSTMPass, _ u: Tensor, _ dy: Tensor) -> Tensor {
    let size = pass.size
    let da = Tensor(uninitialized: pass.activations.shape)
    let (dh, dc) = (Tensor(zeros: [size]), Tensor(zeros: [size]))
    for (index, step) in pass.order.enumerated().reversed() {
        let gates = pass.activations.data + step * 4 * size
        let gradient = da.data + step * 4 * size
        let before = pass.previous(index).map { pass.cells.data + $0 * size }
        for j in 0..<size {
            let (i, f, g, o) = (gates[j], gates[size + j], gates[2 * size + j], gates[3 * size + j])
            let t = tanh(pass.cells.data[step * size + j])
            let output = dh.data[j] + dy.data[step * size + j]
            let cell = dc.data[j] + output * o * (1 - t * t)
            gradient[j] = cell * g * i * (1 - i)
            gradient[size + j] = cell * (before?[j] ?? 0) * f * (1 - f)
            gradient[2 * size + j] = cell * i * (1 - g * g)
            gradient[3 * size + j] = output * t * o * (1 - o)
            dc.data[j] = cell * f
        }
        multiply(
            Matrix(gradient, rows: 1, columns: 4 * size), Matrix(u.data, rows: 4 * size, columns: size),
            into: dh.data, stride: size, alpha: 1, beta: 0)
    }
    return da
}

/// σ(x) = 1 / (1 + exp(−x))
private func logistic(_ x: Float) -> Float { 1 / (1 + exp(-x)) }
