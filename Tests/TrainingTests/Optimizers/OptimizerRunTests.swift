import Checkpoints
import Files
import Foundation
import JSONText
import TestSupport
import Testing
import Training

@Suite("A run with another optimizer than AdamW") struct OptimizerRunTests {
    private let training: TinyTraining

    init() throws { training = try TinyTraining(model: TinyTraining.wider) }

    static let cases = [
        ["training.optim=adamw_8bit"], ["training.optim=paged_adamw_32bit"], ["training.optim=paged_adamw_8bit"],
        ["training.optim=sgd", "training.optim_args=\"momentum=0.9, dampening=0.1\""], ["training.optim=adafactor"],
        ["training.optim=lion_32bit"], ["training.optim=paged_lion_32bit"], ["training.optim=adagrad"],
        ["training.optim=rmsprop", "training.optim_args=\"centered=true, momentum=0.5\""],
        [
            "training.optim=galore_adamw", "training.optim_target_modules=all-linear",
            "training.optim_args=rank=3, update_proj_gap=4",
        ],
    ]
    private let full = ["peft.method=full", "training.learning_rate=1.0e-3"]

    @Test("is gone on with to the same bits", arguments: cases)
    func resumed(settings: [String]) throws {
        let settings = full + settings
        try training.run(settings, into: "whole")
        // Where projections are due right after, and where they aren't.
        for step in [4, 7] {
            try training.run(settings, into: "part\(step)", stoppingAfter: step)
            try training.run(settings, into: "part\(step)", .resume)
            let (part, whole) = (
                try training.bytes("part\(step)/model.safetensors"), try training.bytes("whole/model.safetensors")
            )
            #expect(part == whole)
            #expect(try training.metrics("part\(step)") == training.metrics("whole"))
        }
    }

    @Test("is gone on with to the same bits with LoRA+, noise and smoothed labels, whatever the method")
    func noisy() throws {
        let noise = [
            "training.neftune_noise_alpha=5", "training.label_smoothing_factor=0.1", "training.logging_steps=1",
        ]
        for method in [
            ["peft.method=lora", "training.loraplus_lr_ratio=4", "training.weight_decay=0"],
            ["peft.method=prompt_tuning", "peft.num_virtual_tokens=3"],
            ["peft.method=prefix_tuning", "peft.num_virtual_tokens=3"],
            ["peft.method=lora", "peft.target_modules=[wte]", "training.gradient_checkpointing=true"],
        ] {
            let name = method.joined().filter(\.isLetter)
            try training.run(method + noise, into: "\(name)-whole")
            try training.run(method + noise, into: "\(name)-part", stoppingAfter: 5)
            try training.run(method + noise, into: "\(name)-part", .resume)
            try training.run(method, into: "\(name)-quiet")
            let file = "adapter_model.safetensors"
            let (whole, part) = (
                try training.bytes("\(name)-whole/\(file)"), try training.bytes("\(name)-part/\(file)")
            )
            #expect(whole == part, "\(name)")
            #expect(try training.bytes("\(name)-quiet/\(file)") != whole, "\(name)")
            #expect(try training.metrics("\(name)-part") == training.metrics("\(name)-whole"))
        }
    }

    @Test("has the same bits paged as not, and no file stays in its folder")
    func paged() throws {
        for (paged, plain) in [("paged_adamw_32bit", "adamw_torch_fused"), ("paged_adamw_8bit", "adamw_8bit")] {
            let folder = training.scratch("scratch-\(paged)")
            try FileSystem.createFolder(folder)
            try training.run(full + ["training.optim=\(plain)"], into: plain)
            try training.run(full + ["training.optim=\(paged)"], into: paged)
            try training.run(
                full + ["training.optim=\(paged)", "training.optim_paging_dir=\(folder)"], into: paged + "2")
            for name in [paged, paged + "2"] {
                let (found, expected) = (
                    try training.bytes("\(name)/model.safetensors"), try training.bytes("\(plain)/model.safetensors")
                )
                #expect(found == expected)
                #expect(
                    try FileSystem.names(in: training.scratch(name)) == FileSystem.names(in: training.scratch(plain)))
            }
            #expect(try FileSystem.names(in: folder) == [])
        }
    }

    @Test("in a scratch folder that isn't there says so, and warns of one in memory")
    func folders() throws {
        let settings = full + ["training.optim=paged_adamw_8bit", "training.max_steps=1"]
        let missing = training.scratch("none")
        #expect(
            training.failure(settings + ["training.optim_paging_dir=\(missing)"])
                == "\(missing): error: no scratch file can be made in the folder: No such file or directory")
        let recorder = try training.run(settings + ["training.optim_paging_dir=/dev/shm"], into: "memory")
        #expect(
            recorder.warnings.contains(
                "/dev/shm: warning: the folder's files lie in memory themselves, so that the optimizer's state there "
                    + "saves none: name one on a disk by training.optim_paging_dir"))
    }

    @Test("keeps codes as U8 in its checkpoints, and takes no others")
    func codes() throws {
        let settings = full + ["training.optim=adamw_8bit", "training.max_steps=4"]
        try training.run(settings, stoppingAfter: 2)
        let folder = training.scratch("run/checkpoints/step-2")
        let path = folder + "/training_state.safetensors"
        let file = try SafetensorsFile(path: path, warn: { _ in })
        let name = "exp_avg.transformer.h.0.mlp.c_fc.weight"
        let entry = try #require(file.entry(named: name))
        #expect(entry.elementType == .unsigned8 && entry.shape == [32, 128])
        #expect(file.entry(named: "exp_avg_absmax.transformer.h.0.mlp.c_fc.weight")?.shape == [16])
        #expect(file.entry(named: "exp_avg.transformer.wte.weight")?.elementType == .float32)
        try CheckpointSealTests.rewrite(folder + "/training_state.json") { _ in nil }
        // The same number of bytes under another type.
        let bytes = try Data(contentsOf: URL(filePath: path))
        let header = "\"\(name)\":{\"dtype\":\"U8\",\"shape\":[32,128]"
        let place = try #require(bytes.firstRange(of: Data(header.utf8)))
        var changed = bytes
        changed.replaceSubrange(place, with: Data(header.replacing("U8", with: "I8").utf8))
        try changed.write(to: URL(filePath: path))
        #expect(
            training.failure(settings, .resume)
                == "\(path): error: \(name): has shape [32, 128] of I8, but [32, 128] of U8 is expected")
        changed.replaceSubrange(place, with: Data(header.replacing("c_fc", with: "c_xx").utf8))
        try changed.write(to: URL(filePath: path))
        #expect(
            training.failure(settings, .resume) == "\(path): error: \(name): is missing; shape [32, 128] is expected")
    }
}
