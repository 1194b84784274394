import Checkpoints
import Diagnostics
import Files

/// Something that is measured in a process of its own, on our side and where there is one on the reference's.
struct Measurement {
    /// What it is called in the results.
    var id: String
    /// What `--only` selects it by, besides its id.
    var part: String
    /// The arguments of our program.
    var ours: [String]
    /// Those of a reference program, its path first; nil where there is nothing to compare with.
    var reference: [String]?
    /// How often at most; what hardly spreads, or takes long, needs fewer rounds.
    var rounds = Int.max
    /// Whether it follows the one before at once, under the same setting of kernels, to be compared with it.
    var isPaired = false
    /// Whether our side is measured under each setting of OpenBLAS's kernels.
    var dependsOnKernels = true
}

/// What measurements have to work on.
struct BenchPaths {
    /// The folder of the reference's programs.
    var scripts: String
    var model: String
    /// The same in BF16, and the next larger shapes; nil where they aren't made.
    var halfModel: String?
    var mediumModel: String?
    var largeModel: String?
    var data: String
    var evaluationData: String
    var text: String
    var peft: String?
}

extension Measurement {
    /// What is measured of other families than GPT-2.
    static let ofFamilies = ["lora", "pair-ceiling", "records", "shared", "decode"]

    /// What is measured of models with an encoder.
    static let ofEncoders = ["lora", "pair-ceiling", "records", "generation"]

    /// Everything there is to measure, in the order of the report.
    static func all(_ paths: BenchPaths, _ options: BatchOptions, steps: Int) -> [Measurement] {
        let (threads, batch, length) = (options.threads, options.batch, options.length)
        let model = ["--model", paths.model]
        let common = model + ["--threads", "\(threads)"]
        let rank = ["--rank", "\(options.rank)"]
        let dense = ["--batch", "\(batch)", "--length", "\(length)", "--targets", "\(options.targets)"] + rank
        let script = FileSystem.join(paths.scripts, "reference.py")
        func step(
            _ id: String, part: String, _ workload: Workload, _ size: [String], reference: Bool = true,
            model: String? = nil, extra: [String] = [], inReference: [String] = [], rounds: Int = .max,
            isPaired: Bool = false
        ) -> Measurement {
            let place = ["--model", model ?? paths.model, "--threads", "\(threads)"]
            // The reference's steps take several times as long. Records must be the same ones on both sides.
            let count = workload.readsRecords ? (2 * steps, 2 * steps) : (steps, max(1, steps - 1))
            let other =
                [script] + workload.referenceArguments + place + ["--steps", "\(count.1)"] + size
                + inReference
            return Measurement(
                id: id, part: part,
                ours: ["step", workload.rawValue] + place + ["--steps", "\(count.0)"] + size + extra,
                reference: reference ? other : nil, rounds: rounds, isPaired: isPaired)
        }
        let records = ["--data", paths.data, "--batch", "8"] + rank
        // Several references of each prompt.
        let sharing = ["--data", paths.evaluationData, "--batch", "16"] + rank
        let long = ["--batch", "1", "--length", "\(batch * length)"]
        var list = [
            Measurement(id: "ceiling", part: "ceiling", ours: ["ceiling"] + common + dense),
            step("lora", part: "steps", .lora, dense, isPaired: true),
        ]
        list += pairs(paths, common + dense, batch: batch, length: length)
        list += [
            step("long", part: "steps", .lora, long, rounds: 2),
            step("all-linear", part: "steps", .allLinear, dense, rounds: 2),
            step("bias", part: "steps", .bias, dense, rounds: 2),
            step("full", part: "steps", .full, dense),
            step(
                "autocast", part: "steps", .lora, dense, extra: ["--set", "training.bf16=true"],
                inReference: ["--autocast"], rounds: 2),
            step(
                "autocast-records", part: "steps", .records, records, extra: ["--set", "training.bf16=true"],
                inReference: ["--autocast"], rounds: 1),
            step("records", part: "steps", .records, records),
            step("grouped", part: "shared", .grouped, sharing, reference: false),
            step("shared", part: "shared", .shared, sharing, reference: false, isPaired: true),
        ]
        list += memory(
            paths, step: { step($0, part: "memory", .lora, dense, reference: false, model: $1, extra: $2, rounds: 1) })
        for count in [1, 2] where count < threads {
            let size = model + dense + ["--threads", "\(count)"]
            list += [
                Measurement(
                    id: "ceiling-\(count)", part: "scaling", ours: ["ceiling", "--adapters-only"] + size, rounds: 2,
                    dependsOnKernels: false),
                Measurement(
                    id: "lora-\(count)", part: "scaling", ours: ["step", "lora", "--steps", "2"] + size, rounds: 2,
                    isPaired: true, dependsOnKernels: false),
            ]
        }
        for (id, folder) in [("355m", paths.mediumModel), ("774m", paths.largeModel)] {
            guard let folder else { continue }
            let size = ["--model", folder, "--threads", "\(threads)"] + dense
            list += [
                Measurement(
                    id: "ceiling-\(id)", part: "sizes", ours: ["ceiling", "--adapters-only"] + size, rounds: 1,
                    dependsOnKernels: false),
                Measurement(
                    id: "lora-\(id)", part: "sizes", ours: ["step", "lora", "--steps", "2"] + size, rounds: 1,
                    isPaired: true, dependsOnKernels: false),
            ]
        }
        list += quantized(
            common + dense,
            step: { step($0, part: "quantized", $1, $1 == .records ? records : dense, extra: $2, rounds: 2) })
        list += KeptCase.allCases.map {
            Measurement(
                id: "kept-\($0.rawValue)", part: "kept", ours: ["kept", $0.rawValue, "--data", paths.data] + common,
                rounds: 1)
        }
        list += generation(paths, common)
        list.append(
            Measurement(
                id: "text", part: "text", ours: ["text", "--text", paths.text, "--data", paths.data] + common,
                reference: [FileSystem.join(paths.scripts, "reference_text.py"), "--text", paths.text]
                    + ["--data", paths.data] + common, rounds: 3, dependsOnKernels: false))
        if let peft = paths.peft {
            list.append(
                Measurement(
                    id: "evaluation", part: "generation",
                    ours: ["evaluate", "--peft", peft, "--data", paths.evaluationData, "--limit", "600"] + common,
                    rounds: 1))
            list.append(
                Measurement(
                    id: "start", part: "start", ours: ["start", "--peft", peft, "--data", paths.data] + common,
                    rounds: 2, dependsOnKernels: false))
        }
        return list
    }

    /// - Parameter step: Makes the measurement of a LoRA step from its id, the model's folder and further arguments.
    private static func memory(
        _ paths: BenchPaths, step: (String, String?, [String]) -> Measurement
    ) -> [Measurement] {
        var list = [step("checkpointing", nil, ["--set", "training.gradient_checkpointing=true"])]
        if let halfModel = paths.halfModel { list.append(step("bfloat16", halfModel, [])) }
        return list
    }

    /// The LoRA step beside its matrix products alone, one of the same tokens in a single sequence, one with checkpointing
    /// and one with BF16 weights.
    private static func pairs(
        _ paths: BenchPaths, _ common: [String], batch: Int, length: Int
    ) -> [Measurement] {
        var variants = [
            ("ceiling", ["--ceiling"]),
            ("long", ["--other-batch", "1", "--other-length", "\(batch * length)"]),
            ("checkpointing", ["--other-set", "training.gradient_checkpointing=true"]),
            ("rounded", ["--other-set", "training.bf16=true"]),
        ]
        if let halfModel = paths.halfModel { variants.append(("bfloat16", ["--other-model", halfModel])) }
        return variants.map { id, variant in
            Measurement(id: "pair-\(id)", part: "pairs", ours: ["pair"] + common + variant, rounds: 2)
        }
    }

    static let fourBits = ["model.load_in_4bit=true", "model.bnb_4bit_use_double_quant=true"]

    /// LoRA on a base in few bits, beside bitsandbytes, and beside the same step on floats.
    ///
    /// - Parameter step: Makes the measurement of a step from its id, its workload and further arguments.
    private static func quantized(
        _ common: [String], step: (String, Workload, [String]) -> Measurement
    ) -> [Measurement] {
        func set(_ option: String, _ values: [String]) -> [String] { values.flatMap { [option, $0] } }
        let kinds = [("qlora", fourBits), ("int8", ["model.load_in_8bit=true"])]
        return [("qlora", Workload.lora), ("qlora-records", .records)].map { id, workload in
            var measurement = step(id, workload, set("--set", fourBits))
            measurement.reference? += ["--quantization", "nf4-double"]
            return measurement
        }
            + [step("qlora-int8", .lora, set("--set", kinds[1].1))].map { measurement in
                var measurement = measurement
                measurement.reference = nil
                return measurement
            }
            + kinds.map { id, values in
                Measurement(
                    id: "pair-\(id)", part: "quantized", ours: ["pair"] + common + set("--other-set", values), rounds: 2
                )
            } + [
                Measurement(
                    id: "decode-qlora", part: "quantized",
                    ours: ["decode", "--batch", "1", "--new-tokens", "32"] + Array(common.prefix(4))
                        + set("--set", fourBits),
                    rounds: 2)
            ]
    }

    private static func generation(_ paths: BenchPaths, _ common: [String]) -> [Measurement] {
        let script = FileSystem.join(paths.scripts, "reference_generate.py")
        func measurement(_ id: String, _ command: String, mode: String, _ arguments: [String], rounds: Int)
            -> Measurement
        {
            Measurement(
                id: id, part: command == "decode" ? "decode" : "generation", ours: [command] + common + arguments,
                reference: [script, "--mode", mode] + common + arguments, rounds: rounds)
        }
        return ["1", "16"].flatMap { batch in
            [
                measurement(
                    "decode-\(batch)", "decode", mode: "decode", ["--batch", batch, "--new-tokens", "32"], rounds: 2),
                measurement(
                    "prompt-\(batch)", "decode", mode: "decode",
                    ["--batch", batch, "--prompt-length", "512", "--new-tokens", "1", "--rounds", "1"], rounds: 2),
            ]
        }
            + [
                measurement(
                    "beams", "decode", mode: "decode", ["--batch", "4", "--beams", "4", "--new-tokens", "32"], rounds: 2
                )
            ]
            + [
                measurement(
                    "generation", "generate", mode: "records",
                    ["--batch", "16", "--count", "64", "--data", paths.evaluationData], rounds: 2)
            ].map { measurement in
                var measurement = measurement
                measurement.ours.append("--separately")
                return measurement
            } + shots(common + ["--data", paths.evaluationData])
    }

    /// Records shown before each question, computed once and for each of them.
    private static func shots(_ common: [String]) -> [Measurement] {
        let texts = ["generate", "--batch", "16", "--count", "48", "--shots", "5"] + common
        return [
            ("shots", texts), ("shots-separate", texts + ["--separately"]),
            ("shots-labels", ["labels", "--shots", "5"] + common),
        ].map { Measurement(id: $0, part: "shots", ours: $1, rounds: 2) }
    }
}

/// The measurements that `names`, ids or parts, select; all where there are none.
///
/// - Throws: A `Problem` for a name that selects nothing.
func select(_ measurements: [Measurement], _ names: [String]) throws -> [Measurement] {
    for name in names where !measurements.contains(where: { $0.id == name || $0.part == name }) {
        var parts: [String] = []
        for part in measurements.map(\.part) where !parts.contains(part) { parts.append(part) }
        throw Problem(
            "--only \(name): there are the parts \(parts.joined(separator: ", ")) and the measurements "
                + measurements.map(\.id).joined(separator: ", "), exitStatus: .usage)
    }
    return names.isEmpty ? measurements : measurements.filter { names.contains($0.id) || names.contains($0.part) }
}
