import Configuration
import Diagnostics
import Foundation
import Tensors
import TestSupport
import Testing
import Training

@Suite("Products of 16 bits") struct RoundedProductsTests {
    private static let unavailable: Comment = "the processor doesn't multiply BF16"
    private static let bf16 = ["training.bf16=true"]

    /// A method on a kind of weights, and the file that it delivers.
    private static let cases: [(changes: [String], file: String)] = [
        (["peft.r=2", "peft.target_modules=all-linear"], "adapter_model.safetensors"),
        (["peft.r=2", "peft.use_dora=true", "peft.target_modules=[c_attn, lm_head]"], "adapter_model.safetensors"),
        (["peft.r=2", "model.load_in_4bit=true"], "adapter_model.safetensors"),
        (["peft.method=loha", "peft.r=2"], "adapter_model.safetensors"),
        (["peft.method=full"], "model.safetensors"),
    ]

    @Test(
        "leave a run's losses within what such numbers differ by, and aren't those of 32 bits",
        .enabled(if: Processor.hasBFloat16Products, unavailable), arguments: cases.indices)
    func losses(index: Int) throws {
        let training = try TinyTraining()
        let changes = Self.cases[index].changes
        let plain = try training.run(changes, into: "plain")
        let rounded = try training.run(changes + Self.bf16, into: "rounded")
        for (a, b) in zip(plain.logged, rounded.logged) {
            #expect(a.loss != b.loss && abs(a.loss - b.loss) < 5e-3 * a.loss, "\(a.loss) and \(b.loss)")
        }
        #expect(plain.logged.count == rounded.logged.count && !plain.logged.isEmpty)
    }

    @Test(
        "give the same bits when the run was stopped and resumed, and with checkpointing",
        .enabled(if: Processor.hasBFloat16Products, unavailable), arguments: cases.indices)
    func bits(index: Int) throws {
        let training = try TinyTraining()
        let (changes, file) = Self.cases[index]
        try training.run(changes + Self.bf16, into: "whole")
        try training.run(changes + Self.bf16, into: "resumed", stoppingAfter: 5)
        try training.run(changes + Self.bf16, into: "resumed", .resume)
        try training.run(changes + Self.bf16 + ["training.gradient_checkpointing=true"], into: "checkpointed")
        let whole = try training.bytes("whole/\(file)")
        #expect(try training.bytes("resumed/\(file)") == whole)
        #expect(try training.bytes("checkpointed/\(file)") == whole)
    }

    @Test(
        "are of 32 bits where the processor has no others, and a warning says so",
        .enabled(if: !Processor.hasBFloat16Products, "the processor multiplies BF16"))
    func missing() throws {
        let training = try TinyTraining()
        var warnings: [String] = []
        let configuration = try RunConfiguration(
            ConfigDocument.load(yamlFile: training.scratch("run.yaml"), overrides: Self.bf16),
            warn: { warnings.append($0.description) })
        #expect(!configuration.training.roundsProducts)
        #expect(
            warnings == [
                "--set training.bf16=true: warning: training.bf16: has no effect: this processor doesn't multiply numbers "
                    + "of 16 bits (AVX512-BF16), so products are of 32 bits"
            ])
    }
}
