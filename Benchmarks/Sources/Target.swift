/// A figure that the tool is held to.
struct Target {
    var name: String
    /// What it must reach, as text.
    var limit: String
    var text: (Double) -> String
    /// nil where something that it needs wasn't measured.
    var value: (_ results: Results, _ kernel: String) -> Double?

    static func ratio(_ value: Double) -> String { fixed(value, 2) + " ×" }
    private static func share(_ value: Double) -> String { fixed(value, 2) }
    private static func milliseconds(_ value: Double) -> String { fixed(1000 * value, 0) + " ms" }

    /// The time of a step's matrix products at OpenBLAS's best over the step's own.
    static func share(_ results: Results, _ id: String, _ kernel: String, ceiling: String = "ceiling") -> Double? {
        let entries = ["bias": "biases", "full": "full"]
        // Records come in batches of unequal sizes, of which the ceiling is measured for the mean.
        let isMean = id == "records"
        return results.ratio(
            Figure(
                id: isMean ? "ceiling-records" : ceiling, key: "\(entries[id] ?? "adapters").seconds", kernel: kernel),
            Figure(id: id, key: isMean ? "mean_seconds" : "median_seconds", kernel: kernel))
    }

    /// The reference's over ours.
    static func faster(_ id: String, _ key: String = "median_seconds") -> (Results, String) -> Double? {
        { $0.ratio(Figure(id: id, key: key), Figure(id: id, key: key, kernel: $1)) }
    }

    static func divide(_ a: Double?, _ b: Double?) -> Double? { a.flatMap { a in b.map { a / $0 } } }

    /// Ours over the reference's, of a rate.
    static func rate(_ id: String, _ key: String) -> (Results, String) -> Double? {
        { $0.ratio(Figure(id: id, key: key, kernel: $1), Figure(id: id, key: key)) }
    }

    /// The peak without the weights.
    private static func activations(_ results: Results, _ id: String, _ kernel: String) -> Double? {
        guard let peak = results.ours(id, "peak_memory_bytes", kernel),
            let weights = results.ours(id, "weight_bytes", kernel)
        else { return nil }
        return peak - weights
    }

    static var gpt2: [Target] {
        [
            Target(
                name: "share of the sgemm ceiling, LoRA on c_attn, dense", limit: "≥ 1.02", text: share,
                value: { $0.ours("pair-ceiling", "ratio", $1) }),
            Target(name: "tokens/s against peft, LoRA, dense", limit: "≥ 1.9 ×", text: ratio, value: faster("lora")),
            Target(
                name: "tokens/s against peft with Trainer, E2E records", limit: "≥ 3 ×", text: ratio,
                value: rate("records", "tokens_per_second")),
            Target(
                name: "the same, share of the sgemm ceiling", limit: "≥ 1.0", text: share,
                value: { share($0, "records", $1) }),
            Target(
                name: "the same, peak memory", limit: "≤ 0.25 ×", text: ratio,
                value: {
                    divide($0.ours("records", "peak_memory_bytes", $1), $0.reference("records", "peak_memory_bytes"))
                }),
        ] + shared + [
            Target(name: "full tuning, dense", limit: "≥ 1.8 ×", text: ratio, value: faster("full")),
            Target(
                name: "share of the sgemm ceiling, full tuning", limit: "≥ 0.92", text: share,
                value: { share($0, "full", $1) }),
            Target(
                name: "tokens/s against peft in bf16 autocast, LoRA, dense; here with bf16 where the processor has it",
                limit: "", text: ratio, value: faster("autocast")),
            Target(
                name: "the same, E2E records", limit: "", text: ratio,
                value: rate("autocast-records", "tokens_per_second")),
            Target(
                name: "a LoRA step with bf16 against one without, time", limit: "", text: ratio,
                value: { $0.ours("pair-rounded", "ratio", $1) }),
            Target(
                name: "peak memory of the LoRA step against peft", limit: "≤ 0.25 ×", text: ratio,
                value: { divide($0.ours("lora", "peak_memory_bytes", $1), $0.reference("lora", "peak_memory_bytes")) }),
            Target(
                name: "activation checkpointing: memory but for the weights", limit: "≤ 0.50 ×", text: ratio,
                value: { divide(activations($0, "checkpointing", $1), activations($0, "lora", $1)) }),
            Target(
                name: "activation checkpointing: time", limit: "≤ 1.3 ×", text: ratio,
                value: { $0.ours("pair-checkpointing", "ratio", $1) }),
            Target(
                name: "weights in BF16: what they take up, by the peaks' difference", limit: "≤ 0.50 ×", text: ratio,
                value: { results, kernel in
                    guard let whole = results.ours("lora", "peak_memory_bytes", kernel),
                        let half = results.ours("bfloat16", "peak_memory_bytes", kernel),
                        let weights = results.ours("lora", "weight_bytes", kernel)
                    else { return nil }
                    return 1 - (whole - half) / weights
                }),
            Target(
                name: "weights in BF16: time", limit: "≤ 1.1 ×", text: ratio,
                value: { $0.ours("pair-bfloat16", "ratio", $1) }),
            Target(
                name: "LoRA on NF4 with double quantization against F32 here, time", limit: "≤ 1.15 ×", text: ratio,
                value: { $0.ours("pair-qlora", "ratio", $1) }),
            Target(
                name: "LoRA on int8 against F32 here, time", limit: "≤ 1.1 ×", text: ratio,
                value: { $0.ours("pair-int8", "ratio", $1) }),
            Target(
                name: "tokens/s against peft + bitsandbytes, LoRA on NF4, dense", limit: "≥ 1.5 ×", text: ratio,
                value: faster("qlora")),
            Target(
                name: "the same, E2E records", limit: "≥ 2.3 ×", text: ratio,
                value: rate("qlora-records", "tokens_per_second")),
            Target(
                name: "peak memory of the LoRA step on NF4 against peft + bitsandbytes", limit: "≤ 0.25 ×", text: ratio,
                value: {
                    divide($0.ours("qlora", "peak_memory_bytes", $1), $0.reference("qlora", "peak_memory_bytes"))
                }),
            Target(
                name: "greedy decoding, batch 1, NF4 against F32 here, the whole model", limit: "", text: ratio,
                value: {
                    divide(
                        $0.ours("decode-qlora", "tokens_per_second", $1), $0.ours("decode-1", "tokens_per_second", $1))
                }),
            Target(
                name: "one long sequence against four short, same tokens", limit: "≤ 1.15 ×", text: ratio,
                value: { $0.ours("pair-long", "ratio", $1) }),
            Target(
                name: "all cores against 1, of what sgemm gains", limit: "≥ 0.90", text: share,
                value: { results, kernel in
                    kernel == results.kernels.first
                        ? divide(
                            share(results, "lora", kernel), share(results, "lora-1", kernel, ceiling: "ceiling-1"))
                        : nil
                }),
            Target(
                name: "process start to first step of 124M, beyond the step", limit: "≤ 500 ms", text: milliseconds,
                value: { $0.ours("start", "start_seconds", $1) }),
            Target(
                name: "`peft --help`", limit: "≤ 20 ms", text: milliseconds,
                value: { $0.ours("start", "help_seconds", $1) }),
            Target(
                name: "`peft inspect`, 500 MB", limit: "≤ 50 ms", text: milliseconds,
                value: { $0.ours("start", "inspect_file_seconds", $1) }),
            Target(
                name: "greedy decoding, batch 1, of memory bandwidth over weight bytes", limit: "≥ 0.7", text: share,
                value: { $0.ours("decode-1", "bandwidth_share", $1) }),
            Target(
                name: "greedy decoding, batch 1, against transformers", limit: "≥ 2 ×", text: ratio,
                value: rate("decode-1", "tokens_per_second")),
            Target(
                name: "greedy decoding, batch 16, against transformers", limit: "≥ 3 ×", text: ratio,
                value: rate("decode-16", "tokens_per_second")),
            Target(
                name: "4 beams, batch 4, against transformers' beams", limit: "≥ 3 ×", text: ratio,
                value: rate("beams", "tokens_per_second")),
        ] + prompts(limit: "≥ 1.6 ×") + [
            Target(
                name: "generation for E2E dev, batch 16, against transformers", limit: "≥ 3 ×", text: ratio,
                value: rate("generation", "tokens_per_second")),
            Target(
                name: "the same without generating equal prompts again", limit: "", text: ratio,
                value: { results, kernel in
                    guard let ratio = rate("generation", "tokens_per_second")(results, kernel),
                        let records = results.ours("generation", "records", kernel),
                        let prompts = results.ours("generation", "distinct_prompts", kernel)
                    else { return nil }
                    return ratio * records / prompts
                }),
            Target(
                name: "`peft eval` for E2E dev with all measures and predictions against generation alone",
                limit: "≤ 1.05 ×", text: ratio, value: { $0.ours("evaluation", "ratio", $1) }),
            Target(
                name: "E2E texts behind 5 shots, computed once against for each prompt", limit: "", text: ratio,
                value: {
                    divide(
                        $0.ours("shots", "tokens_per_second", $1), $0.ours("shots-separate", "tokens_per_second", $1))
                }),
            Target(
                name: "labels behind 5 shots, computed once against a pass for each text and label", limit: "≥ 3 ×",
                text: ratio, value: { $0.ours("shots-labels", "ratio", $1) }),
            Target(
                name: "tokenizer, one thread, cold cache, against tokenizers", limit: "≥ 2 ×", text: ratio,
                value: rate("text", "tokenizer_bytes_per_second")),
            Target(
                name: "the same with Llama 3's pattern", limit: "≥ 3 ×", text: ratio,
                value: rate("text", "pattern_bytes_per_second")),
        ]
    }

    /// Records with the same prompts in one batch, which is computed once or each time.
    private static var shared: [Target] {
        [
            Target(
                name: "E2E records grouped by prompt: tokens/s with prompts shared against without", limit: "≥ 1.8 ×",
                text: ratio,
                value: { results, kernel in
                    results.ratio(
                        Figure(id: "shared", key: "tokens_per_second", kernel: kernel),
                        Figure(id: "grouped", key: "tokens_per_second", kernel: kernel))
                }),
            Target(
                name: "the same, peak memory", limit: "≤ 1 ×", text: ratio,
                value: {
                    divide($0.ours("shared", "peak_memory_bytes", $1), $0.ours("grouped", "peak_memory_bytes", $1))
                }),
        ]
    }

    /// What the other families are held to; the second of two limits is for AVX-512.
    static var families: [Target] {
        training(layers: "q_proj and v_proj", share: "≥ 0.85", records: "≥ 2.5 ×; 3.3 ×") + shared + [
            Target(
                name: "greedy decoding, batch 1, of memory bandwidth over weight bytes", limit: "≥ 0.7", text: share,
                value: { $0.ours("decode-1", "bandwidth_share", $1) }),
            Target(
                name: "greedy decoding, batch 1, against transformers", limit: "≥ 2.5 ×", text: ratio,
                value: rate("decode-1", "tokens_per_second")),
        ] + prompts(limit: "≥ 1.2 ×")
    }

    private static func prompts(limit: String) -> [Target] {
        ["1", "16"].map { batch in
            Target(
                name: "prompt of 512 tokens, batch \(batch), against transformers", limit: limit, text: ratio,
                value: rate("prompt-\(batch)", "prefill_tokens_per_second"))
        }
    }

    /// What models with an encoder are held to.
    static var encoders: [Target] {
        training(layers: "q and v", share: "≥ 0.75", records: "≥ 2.3 ×; 3 ×") + [
            Target(
                name: "generation for E2E dev, batch 16, against transformers", limit: "≥ 2 ×", text: ratio,
                value: rate("generation", "tokens_per_second"))
        ]
    }

    /// The steps of any family but GPT-2.
    private static func training(layers: String, share limit: String, records: String) -> [Target] {
        [
            Target(
                name: "share of the sgemm ceiling, LoRA on \(layers), dense", limit: limit, text: share,
                value: { $0.ours("pair-ceiling", "ratio", $1) }),
            Target(
                name: "tokens/s against peft, LoRA, dense", limit: "≥ 1.6 ×; 2.5 ×", text: ratio, value: faster("lora")),
            Target(
                name: "tokens/s against peft with Trainer, E2E records", limit: records, text: ratio,
                value: rate("records", "tokens_per_second")),
            Target(
                name: "peak memory of the LoRA step against peft", limit: "≤ 0.25 ×", text: ratio,
                value: { divide($0.ours("lora", "peak_memory_bytes", $1), $0.reference("lora", "peak_memory_bytes")) }),
        ]
    }
}
