import Checkpoints
import Diagnostics
import JSONText
import Tensors
import Training

extension Inspection {
    /// One object that holds everything.
    var json: JSONValue {
        var members: [JSONValue.Member] = [
            .init("kind", .string(kind.rawValue)), .init("path", .string(path)),
        ]
        if let model { members.append(.init("model", model.json)) }
        if model != nil { members.append(.init("own_head", .boolean(weights.hasOwnHead))) }
        if let adapter { members.append(.init("adapter", adapter.plain)) }
        if let run { members.append(.init("run", run.json)) }
        return .object(members + weights.json)
    }

    /// A line for each fact, and for each tensor where they are to be listed.
    func text(listingTensors: Bool) -> String {
        var rows = [("what", title)]
        if let model { rows += model.sizes.map { ($0.label, Self.words($0.value)) } }
        if let model, model.tiesHead, weights.hasOwnHead {
            rows.append(
                ("", "lm_head.weight differs from the token embedding: not tied, whatever the configuration says"))
        }
        if let adapter { rows += Self.settings(adapter) }
        if let run { rows += Self.rows(run) }
        if !weights.files.isEmpty {
            rows.append(("tensors", weights.tensorCount.grouped))
            rows += weights.types.map {
                ("", "\($0.type): \($0.tensorCount.grouped) with \($0.elementCount.grouped) elements")
            }
            rows.append(("parameters", weights.parameterCount.grouped))
            rows += weights.quantizedShares.map { share in
                (
                    "quantized",
                    "\(share.weightCount.grouped) weights in \(QuantizationSettings(share.quantization).description): "
                        + "\(share.elementCount.grouped) parameters at \(share.bitsPerElement.text(decimals: 3)) bits"
                )
            }
            rows.append(("size", weights.byteCount.asBytes))
        }
        let most = 8
        rows += weights.broken.prefix(most).map { ("not finite", "\($0.tensor): \($0.element)") }
        if weights.broken.count > most { rows.append(("", "and \(weights.broken.count - most) more tensors")) }
        rows += weights.files.map { ("file", "\($0.path), \($0.byteCount.asBytes)\(Self.words($0.metadata))") }
        var lines = Self.aligned(rows)
        if listingTensors { lines += tensorLines }
        return lines.joined(separator: "\n")
    }

    private var title: String {
        let type = model?.type.map { " of type \($0)" } ?? ""
        let method = (try? adapter?.optionalString("peft_type")).map { " (\($0))" } ?? ""
        let described =
            switch kind {
            case .model: "model\(type)"
            case .configuration: "configuration of a model\(type), without weights"
            case .adapter: "adapter\(method)"
            case .safetensors: "safetensors file"
            case .run: "output of a run, without a result"
            }
        return run == nil || kind == .run ? described : described + ", the output of a run"
    }

    private var tensorLines: [String] {
        let codes = Dictionary(weights.quantized.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let companions = Set(weights.quantized.flatMap(\.companions))
        let tensors = weights.files.flatMap(\.tensors).filter { !companions.contains($0.name) }
        let width = tensors.map(\.name.count).max() ?? 0
        return [""]
            + tensors.map { tensor in
                let codes = codes[tensor.name].map { "\($0.quantization.format.rawValue) \($0.shape)" }
                return "\(tensor.name.padded(width))  \(codes ?? tensor.summary)"
            }
    }

    private static func aligned(_ rows: [(label: String, value: String)]) -> [String] {
        let width = rows.map(\.label.count).max() ?? 0
        return rows.map { $0.label.padded(width + 2) + $0.value }
    }

    /// What is set in an adapter's configuration: everything but null, false and empty, which mean absence in it.
    private static func settings(_ configuration: JSONNode) -> [(String, String)] {
        guard case .object(let members) = configuration.plain else { return [] }
        let first = [
            "base_model_name_or_path", "task_type", "r", "lora_alpha", "lora_dropout", "target_modules", "bias",
            "modules_to_save",
        ]
        let hidden = ["peft_type", "megatron_core", "inference_mode", "auto_mapping"]
        let known = first.compactMap { key in members.first { $0.key == key } }
        let others = members.filter { !first.contains($0.key) && !hidden.contains($0.key) }
        return (known + others).filter { isSet($0.value) }.map { ($0.key, words($0.value)) }
    }

    private static func isSet(_ value: JSONValue) -> Bool {
        switch value {
        case .null, .boolean(false): false
        case .array(let values): !values.isEmpty
        case .object(let members): !members.isEmpty
        default: true
        }
    }

    private static func words(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): text
        case .array(let values): values.map(words).joined(separator: ", ")
        default: value.text(.compact)
        }
    }

    private static func words(_ metadata: [String: String]) -> String {
        metadata.isEmpty
            ? ""
            : " (" + metadata.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ") + ")"
    }

    private static func rows(_ run: RunFacts) -> [(String, String)] {
        var rows: [(String, String)] = []
        if let step = run.lastStep { rows.append(("last step", facts(step, ["step", "epoch", "loss"]))) }
        if let best = run.bestEvaluation { rows.append(("best evaluation", facts(best, ["step", "eval_loss"]))) }
        if !run.checkpoints.isEmpty {
            rows.append(("checkpoints", run.checkpoints.map { "step \($0)" }.joined(separator: ", ")))
        }
        return rows
    }

    private static func facts(_ line: JSONNode, _ keys: [String]) -> String {
        keys.compactMap { key in line.member(key).map { "\(key) \(words($0.plain))" } }.joined(separator: ", ")
    }
}
