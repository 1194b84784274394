import TestSupport

/// What a method makes of a model, in double precision: changes the formula's numbers by those of its parameters.
///
/// `now` holds the parameters by their names in the file; `start` what they are where the gradient is taken, for what a
/// method takes as constant there.
typealias MethodFormula =
    @Sendable (
        _ model: inout any ScalarModel, _ now: [String: [Double]], _ start: [String: [Double]]
    ) -> Void

/// A weight of the small model, [outputs][inputs], whichever way it lies.
struct LogicalWeight {
    let key: String
    let isInputByOutput: Bool
    let outputs: Int
    let inputs: Int
    var rows: [[Double]]

    /// The output layer's where it has one is its own, and else the token embedding's.
    init(_ path: String, _ model: any ScalarModel) {
        key = path + ".weight"
        let values = model.values[key] ?? model.values[model.tokenTable + ".weight"] ?? []
        let inputs = model.inputs(of: path)
        let outputs = values.count / inputs
        let isInputByOutput = model.isInputByOutput(path)
        (self.inputs, self.outputs, self.isInputByOutput) = (inputs, outputs, isInputByOutput)
        rows = (0..<outputs).map { i in
            (0..<inputs).map { j in values[isInputByOutput ? j * outputs + i : i * inputs + j] }
        }
    }

    var values: [Double] {
        isInputByOutput ? (0..<inputs).flatMap { j in rows.map { $0[j] } } : rows.flatMap { $0 }
    }
}

/// s · B A with A [r, inputs] and B [outputs, r], as [outputs][inputs].
func product(_ b: [Double], _ a: [Double], rank: Int, scale: Double) -> [[Double]] {
    let inputs = a.count / rank
    return (0..<b.count / rank).map { i in
        (0..<inputs).map { j in
            (0..<rank).reduce(0) { $0 + b[i * rank + $1] * a[$1 * inputs + j] } * scale
        }
    }
}

func length(_ row: [Double]) -> Double { row.reduce(0) { $0 + $1 * $1 }.squareRoot() }

/// LoRA with all of its variants; `scales` as in `MethodCase`.
func loraFormula(_ scales: [String?: Double] = [nil: 1]) -> MethodFormula {
    { model, now, start in
        func scale(_ path: String) -> Double { scales[path] ?? scales[nil] ?? 1 }
        func path(_ name: String, _ suffix: String) -> String? {
            name.hasSuffix(suffix) ? String(name.dropLast(suffix.count)) : nil
        }
        let before = model
        for path in now.keys.compactMap({ path($0, ".lora_A.weight") }) {
            let (a, b) = (".lora_A.weight", ".lora_B.weight")
            let inputs = before.inputs(of: path)
            let rank = (now[path + a] ?? []).count / inputs
            var weight = LogicalWeight(path, before)
            func changed(_ values: [String: [Double]]) -> [[Double]] {
                let change = product(values[path + b] ?? [], values[path + a] ?? [], rank: rank, scale: scale(path))
                return zip(weight.rows, change).map { zip($0, $1).map { $0 + $1 } }
            }
            let rows = changed(now)
            if let magnitude = now[path + ".lora_magnitude_vector"] {
                // The norm is a constant.
                let norms = changed(start).map(length)
                weight.rows = rows.indices.map { i in rows[i].map { $0 * magnitude[i] / norms[i] } }
            } else {
                weight.rows = rows
            }
            model.values[weight.key] = weight.values
            for (i, value) in (now[path + ".lora_B.bias"] ?? []).enumerated() {
                model.values[path + ".bias"]?[i] += scale(path) * value
            }
        }
        for path in now.keys.compactMap({ path($0, ".lora_embedding_A") }) {
            let width = SmallModel.width
            let table = before.values[path + ".weight"] ?? []
            // The output layer goes on with the table as it was.
            if path == before.tokenTable, model.values["lm_head.weight"] == nil {
                model.values["lm_head.weight"] = table
            }
            func changed(_ values: [String: [Double]]) -> [[Double]] {
                let b = values[path + ".lora_embedding_B"] ?? []
                let rank = b.count / width
                let change = product(b, values[path + ".lora_embedding_A"] ?? [], rank: rank, scale: scale(path))
                return change.enumerated().map { column, entries in
                    entries.enumerated().map { $1 + table[$0 * width + column] }
                }
            }
            var columns = changed(now)
            if let magnitude = now[path + ".lora_magnitude_vector"] {
                let norms = changed(start).map(length)
                for i in columns.indices { columns[i] = columns[i].map { $0 * magnitude[i] / norms[i] } }
            }
            model.values[path + ".weight"] = table.indices.map { columns[$0 % width][$0 / width] }
        }
        for (name, rows) in now {
            guard let path = path(name, ".token_adapter.trainable_tokens_delta") else { continue }
            for (i, value) in rows.enumerated() {
                let (row, column) = i.quotientAndRemainder(dividingBy: SmallModel.width)
                model.values[path + ".weight"]?[SmallModel.trainedTokens[row] * SmallModel.width + column] = value
            }
        }
    }
}
