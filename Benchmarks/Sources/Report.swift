import JSONText

/// A run's results as Markdown: what docs/speed.md shows.
struct Report {
    let results: Results
    /// An earlier run, which the differences are from.
    let before: Results?

    var markdown: String {
        let kernels = results.kernels
        var text =
            "Measured on \(results.processor), \(results.threads) cores, in one run of `make bench`: a random \(name) "
            + "in float32, \(isGPT2 || results.targets != nil ? "dropouts active, " : "")dense batches of \(results.batch) × \(results.length) tokens\(results.targets.map { " and \($0) of the decoder's" } ?? ""), E2E records 8 at "
            + "a time with labels on the completion; sides in turn, medians, of ratios the median over rounds. \(versions)\n"
        if kernels.count > 1 {
            text +=
                "OpenBLAS with its \(kernels.first ?? "") kernels, as the environment had it, and with its own choice, "
                + "\(kernels.dropFirst().joined(separator: ", ")).\n"
        }
        text += quietness + "\n" + targets
        for section in kernels.map(steps) + [threads, sizes, kept, start, generation, other]
            + kernels.prefix(1).map(operations)
        where !section.isEmpty {
            text += "\n" + section
        }
        return text
    }

    /// Whether the machine did other work meanwhile, on which ratios depend as well: torch's threads wait for each other.
    private var quietness: String {
        guard let sample = results.busiest, let share = sample.otherWork else { return "" }
        let most = "\(fixed(100 * share, 1)) % of the processors' time (\(sample.id))"
        if share <= Results.busy { return "Others took at most \(most).\n" }
        let count = results.samples.count { $0.otherWork ?? 0 > Results.busy }
        return "**The machine was busy** during \(count) of \(results.samples.count) processes: others took up to "
            + "\(most). These figures are none.\n"
    }

    private var isGPT2: Bool { Results.isGPT2(results.model) }

    /// What the measured model is.
    private var name: String {
        switch results.model {
        case "gpt2-124m": "GPT-2 124M"
        case "smollm2-135m": "model of SmolLM2-135M's shape"
        case "qwen2.5-0.5b": "model of Qwen2.5-0.5B's shape"
        case "flan-t5-base": "model of FLAN-T5 base's shape"
        default: results.model
        }
    }

    private var versions: String {
        guard let sample = results.samples.first(where: { $0.kernel == nil }),
            let members = try? sample.summary.optional("versions")?.asObject()
        else { return "" }
        let names = members.compactMap { member in (try? member.value.asString()).map { "\(member.key) \($0)" } }
        return "Hugging Face: \(names.joined(separator: ", "))."
    }

    /// A table's rows after its header; nothing where there are no rows.
    static func table(_ header: [String], _ rows: [[String]]) -> String {
        guard !rows.isEmpty else { return "" }
        let lines = [header, header.indices.map { $0 == 0 ? "---" : "---:" }] + rows
        return lines.map { "| " + $0.joined(separator: " | ") + " |\n" }.joined()
    }

    private var targets: String {
        let kernels = results.kernels
        let rows = (isGPT2 ? Target.gpt2 : results.targets == nil ? Target.families : Target.encoders).compactMap {
            target -> [String]? in
            let reached = kernels.map { kernel in target.value(results, kernel).map { target.text($0) } ?? "" }
            guard reached.contains(where: { !$0.isEmpty }) else { return nil }
            let last = before.flatMap { before in
                kernels.first.flatMap { target.value(before, $0) }.map { target.text($0) }
            }
            return [target.name, target.limit] + reached + (before == nil ? [] : [last ?? ""])
        }
        return Self.table(
            ["what", "must reach"] + (kernels.count > 1 ? kernels : ["reached"])
                + (before == nil ? [] : ["last time"]), rows)
    }

    private func steps(_ kernel: String) -> String {
        let names = [
            (
                "lora",
                isGPT2
                    ? "LoRA r 8 on c_attn" : results.targets == nil ? "LoRA r 8 on q_proj, v_proj" : "LoRA r 32 on q, v"
            ),
            ("all-linear", "LoRA r 8 on all linear layers"), ("bias", "biases alone"),
            ("full", "full tuning"), ("long", "LoRA, 1 × \(results.batch * results.length)"),
            ("records", "LoRA, E2E records"),
        ]
        let rows = names.compactMap { id, name -> [String]? in
            guard !results.samples(id, kernel).isEmpty, let seconds = results.ours(id, "median_seconds", kernel)
            else { return nil }
            let reference = results.reference(id, "median_seconds")
            // Batches of records differ, so that only all of a run's tokens over all of its time compare.
            let gain =
                (id == "records" ? Target.rate(id, "tokens_per_second") : Target.faster(id))(results, kernel)
            let memory = results.ours(id, "peak_memory_bytes", kernel)
            let last = before?.ours(id, "median_seconds", kernel)
            return [
                name, fixed(seconds, 3), fixed(results.ours(id, "tokens_per_second", kernel), 0), fixed(reference, 3),
                gain.map(Target.ratio) ?? "", fixed(Target.share(results, id, kernel), 2),
                fixed(memory.map { $0 / 1e6 }, 0),
                Target.divide(memory, results.reference(id, "peak_memory_bytes")).map(Target.ratio) ?? "",
            ] + (before == nil ? [] : [last.map { Self.change(seconds, $0) } ?? ""])
        }
        let title = results.kernels.count > 1 ? ", OpenBLAS \(kernel)" : ""
        let header =
            [
                "training step\(title)", "seconds", "tokens/s", "Hugging Face, s", "faster", "of the sgemm ceiling",
                "peak MB", "of Hugging Face's",
            ] + (before == nil ? [] : ["time since last run"])
        return Self.table(header, rows)
    }

    private static func change(_ now: Double, _ before: Double) -> String {
        let percent = 100 * (now / before - 1)
        return (percent >= 0 ? "+" : "") + fixed(percent, 1) + " %"
    }

    /// What more cores give, beside what they give the bare products.
    private var threads: String {
        guard let kernel = results.kernels.first else { return "" }
        let counts = [(1, "-1"), (2, "-2"), (results.threads, "")].filter { $0.0 < results.threads || $0.1.isEmpty }
        let rows = counts.compactMap { count, suffix -> [String]? in
            guard let seconds = results.ours("lora" + suffix, "median_seconds", kernel) else { return nil }
            func gain(_ id: String, _ key: String) -> Double? {
                results.ratio(
                    Figure(id: id + "-1", key: key, kernel: kernel), Figure(id: id + suffix, key: key, kernel: kernel))
            }
            return [
                "\(count)", fixed(seconds, 2), gain("lora", "median_seconds").map(Target.ratio) ?? "",
                gain("ceiling", "adapters.seconds").map(Target.ratio) ?? "",
                fixed(Target.share(results, "lora" + suffix, kernel, ceiling: "ceiling" + suffix), 2),
            ]
        }
        guard rows.count > 1 else { return "" }
        return Self.table(
            ["LoRA step by threads", "seconds", "faster", "sgemm faster", "of the sgemm ceiling"], rows)
    }

    /// Larger models, weights in BF16, and activation checkpointing.
    private var sizes: String {
        guard let kernel = results.kernels.first else { return "" }
        let size = results.model.split(separator: "-").last.map { $0.uppercased() } ?? ""
        let names = [
            ("lora", "ceiling", size), ("checkpointing", "ceiling", "\(size), activation checkpointing"),
            ("bfloat16", "ceiling", "\(size), weights in BF16"), ("lora-355m", "ceiling-355m", "355M"),
            ("lora-774m", "ceiling-774m", "774M"),
        ]
        let rows = names.compactMap { id, ceiling, name -> [String]? in
            guard let seconds = results.ours(id, "median_seconds", kernel) else { return nil }
            let share = Target.share(results, id, kernel, ceiling: ceiling)
            return [
                name, fixed(seconds, 2), fixed(results.ours(id, "tokens_per_second", kernel), 0), fixed(share, 2),
                fixed(results.ours(id, "weight_bytes", kernel).map { $0 / 1e6 }, 0),
                fixed(results.ours(id, "peak_memory_bytes", kernel).map { $0 / 1e6 }, 0),
            ]
        }
        guard rows.count > 1 else { return "" }
        return Self.table(
            ["LoRA step by model", "seconds", "tokens/s", "of the sgemm ceiling", "weights MB", "peak MB"], rows)
    }

    /// Steps of the second epoch with the hidden states kept below what trains.
    private var kept: String {
        guard let kernel = results.kernels.first else { return "" }
        let rows = KeptCase.allCases.compactMap { part -> [String]? in
            let id = "kept-\(part.rawValue)"
            guard let ratio = results.ours(id, "ratio", kernel) else { return nil }
            return [
                part.name, fixed(results.ours(id, "median_seconds", kernel), 3),
                fixed(results.ours(id, "median_kept_seconds", kernel), 3), Target.ratio(ratio),
            ]
        }
        return Self.table(["E2E records, second epoch, seconds a step", "anew", "kept", "faster"], rows)
    }

    private var start: String {
        guard let kernel = results.kernels.first else { return "" }
        let figures = [
            (
                "from process start to the first step on E2E records done",
                results.ours("start", "first_step_seconds", kernel),
                results.reference("records", "seconds_to_first_line")
            ),
            (
                "of this: loading the model, its method and the optimizer",
                results.ours("lora", "load_seconds", kernel),
                results.reference("lora", "load_seconds")
            ),
        ]
        let rows = figures.compactMap { name, seconds, reference -> [String]? in
            guard let seconds else { return nil }
            return [
                name, fixed(seconds, 3), fixed(reference, 2), reference.map { fixed($0 / seconds, 1) + " ×" } ?? "",
            ]
        }
        return Self.table(["start, seconds", "peft here", "Hugging Face", "faster"], rows)
    }

    private var generation: String {
        guard let kernel = results.kernels.first else { return "" }
        let names = [
            ("decode-1", "prefill_tokens_per_second", "prompt, batch 1"),
            ("prompt-1", "prefill_tokens_per_second", "prompt of 512 tokens, batch 1"),
            ("decode-1", "tokens_per_second", "new tokens, batch 1"),
            ("decode-16", "prefill_tokens_per_second", "prompt, batch 16"),
            ("prompt-16", "prefill_tokens_per_second", "prompt of 512 tokens, batch 16"),
            ("decode-16", "tokens_per_second", "new tokens, batch 16"),
            ("beams", "tokens_per_second", "new tokens by 4 beams, batch 4"),
            ("generation", "tokens_per_second", "new tokens for E2E dev prompts, batch 16"),
        ]
        return ratios("generation, tokens/s", names.map { ($0.0, $0.1, $0.2, 1) }, kernel)
    }

    private var other: String {
        guard let kernel = results.kernels.first else { return "" }
        return ratios(
            "text",
            [
                ("text", "tokenizer_bytes_per_second", "tokenizer on one thread, cold cache, MB/s", 1e6),
                ("text", "pattern_bytes_per_second", "the same with Llama 3's pattern, MB/s", 1e6),
                ("text", "digits_bytes_per_second", "the same with digits one by one, MB/s", 1e6),
                ("text", "records_per_second", "records read and tokenized, thousands/s", 1e3),
            ], kernel)
    }

    /// Rates on both sides; each is shown divided by its unit.
    private func ratios(
        _ title: String, _ names: [(id: String, key: String, name: String, unit: Double)], _ kernel: String
    )
        -> String
    {
        let rows = names.compactMap { one -> [String]? in
            guard let rate = results.ours(one.id, one.key, kernel) else { return nil }
            let reference = results.reference(one.id, one.key)
            let last = before?.ours(one.id, one.key, kernel)
            return [
                one.name, fixed(rate / one.unit, 1), fixed(reference.map { $0 / one.unit }, 1),
                reference.flatMap { _ in Target.rate(one.id, one.key)(results, kernel) }.map(Target.ratio) ?? "",
            ] + (before == nil ? [] : [last.map { Self.change(rate, $0) } ?? ""])
        }
        return Self.table(
            [title, "peft here", "Hugging Face", "faster"] + (before == nil ? [] : ["rate since last run"]), rows)
    }

    /// What share of a LoRA step's time the operations took that took most.
    private func operations(_ kernel: String) -> String {
        guard let sample = results.samples("lora", kernel).last, let entries = try? sample.summary.array("operations")
        else { return "" }
        let rows = entries.prefix(14).compactMap { entry -> [String]? in
            guard let name = try? entry.string("operation"), let share = try? entry.number("share"),
                let seconds = try? entry.number("seconds_a_step")
            else { return nil }
            return [name, fixed(100 * share, 1) + " %", fixed(1000 * seconds, 1)]
        }
        return Self.table(["where a LoRA step's time goes", "share", "ms a step"], rows)
    }
}
