import TestSupport

/// The model's own weights with a method's change in them, by the formulas of the papers, one number at a time.
///
struct EffectiveWeights {
    /// Knows how the weights lie.
    var model: any ScalarModel
    /// The shapes of the method's tensors by name.
    var shapes: [String: [Int]]
    /// alpha / r of a layer.
    var scale: (_ path: String) -> Double

    /// The values with every change put in.
    func callAsFunction(_ values: [String: [Double]]) -> [String: [Double]] {
        var result = values
        for name in shapes.keys {
            guard let path = path(name, before: [".ia3_l", ".hada_w1_a", ".lokr_w2", ".lokr_w2_a"]) else { continue }
            if name.hasSuffix(".ia3_l") {
                scale(path, by: name, &result)
            } else {
                let change =
                    name.contains(".hada") ? hadamard(path, values) : kronecker(path, values)
                let inputs = model.inputs(of: path)
                let (outputs, isTurned) = (change.count / inputs, model.isInputByOutput(path))
                for i in 0..<inputs {
                    for j in 0..<outputs {
                        result[path + ".weight"]?[isTurned ? i * outputs + j : j * inputs + i] += change[j * inputs + i]
                    }
                }
            }
        }
        return result
    }

    private func path(_ name: String, before endings: [String]) -> String? {
        endings.first { name.hasSuffix($0) }.map { String(name.dropLast($0.count)) }
    }

    private func scale(_ path: String, by name: String, _ result: inout [String: [Double]]) {
        guard let l = result[name], let shape = shapes[name], let count = result[path + ".weight"]?.count else {
            return
        }
        let scalesInput = shape[0] == 1
        let (inputs, isTurned) = (model.inputs(of: path), model.isInputByOutput(path))
        // The slow index is the one that the weight's rows are counted by.
        let row = isTurned ? count / inputs : inputs
        for i in 0..<count { result[path + ".weight"]?[i] *= l[scalesInput == isTurned ? i / row : i % row] }
        if !scalesInput, result[path + ".bias"] != nil {
            for i in l.indices { result[path + ".bias"]?[i] *= l[i] }
        }
    }

    private func matrix(_ name: String, _ values: [String: [Double]]) -> (rows: Int, columns: Int, [Double])? {
        guard let shape = shapes[name], let found = values[name] else { return nil }
        return (shape[0], shape[1], found)
    }

    private func product(
        _ a: (rows: Int, columns: Int, [Double])?, _ b: (rows: Int, columns: Int, [Double])?
    ) -> (rows: Int, columns: Int, [Double]) {
        guard let a, let b else { return (0, 0, []) }
        var c = [Double](repeating: 0, count: a.rows * b.columns)
        for i in 0..<a.rows {
            for k in 0..<a.columns {
                for j in 0..<b.columns { c[i * b.columns + j] += a.2[i * a.columns + k] * b.2[k * b.columns + j] }
            }
        }
        return (a.rows, b.columns, c)
    }

    /// s · (A₁ B₁) ∘ (A₂ B₂), [outputs, inputs].
    private func hadamard(_ path: String, _ values: [String: [Double]]) -> [Double] {
        let products = ["1", "2"].map {
            product(matrix(path + ".hada_w\($0)_a", values), matrix(path + ".hada_w\($0)_b", values)).2
        }
        return zip(products[0], products[1]).map { $0 * $1 * scale(path) }
    }

    /// s · w₁ ⊗ w₂, [outputs, inputs].
    private func kronecker(_ path: String, _ values: [String: [Double]]) -> [Double] {
        let factors = ["1", "2"].map { number in
            let name = path + ".lokr_w\(number)"
            return matrix(name, values) ?? product(matrix(name + "_a", values), matrix(name + "_b", values))
        }
        let (a, b) = (factors[0], factors[1])
        var change: [Double] = []
        for row in 0..<a.rows * b.rows {
            for column in 0..<a.columns * b.columns {
                change.append(
                    a.2[row / b.rows * a.columns + column / b.columns]
                        * b.2[row % b.rows * b.columns + column % b.columns] * scale(path))
            }
        }
        return change
    }
}
