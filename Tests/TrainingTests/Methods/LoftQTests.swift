import Checkpoints
import Configuration
import Diagnostics
import FoundationEssentials
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

/// What peft's LoftQ makes of a base, see `scripts/fixtures/quantized.py`.
@Suite("LoftQ") struct LoftQTests {
    static let folder = fixture("quantized").path(percentEncoded: false) + "/"
    static let cases = ["llama/4-1", "llama/4-5", "llama/8-2", "gpt2/4-5"]
    static let llama = fixture("llama/llama-biases").path(percentEncoded: false)
    static let three = #""target_modules": ["q_proj", "v_proj", "down_proj"]"#

    /// One of peft's cases.
    private struct Case {
        let source: String
        /// As a run gives them, with peft's bits and iterations.
        let settings: String
        let layers: [(path: String, error: Double, plain: Double)]
        private let file: SafetensorsFile
        private let name: String

        init(_ name: String) throws {
            let node = try JSONNode.load(path: LoftQTests.folder + "loftq.json").required(name)
            source = fixture(try node.string("source")).path(percentEncoded: false)
            let configuration = try
                #""loftq_bits": \#(node.integer("bits")), "loftq_iter": \#(node.integer("iterations"))"#
            settings =
                try String(node.required("settings").plain.text(.compact).dropLast())
                + #", "init_lora_weights": "loftq", "loftq_config": {\#(configuration)}}"#
            layers = try node.object("layers").map {
                ($0.key, try $0.value.required("error").asNumber(), try $0.value.required("plain").asNumber())
            }
            file = try SafetensorsFile(path: LoftQTests.folder + "loftq.safetensors", warn: { _ in })
            self.name = name
        }

        /// `base`, `lora_A` or `lora_B` of a layer.
        func tensor(_ path: String, _ kind: String) throws -> Tensor {
            try file.tensor(named: "\(name).\(path).\(kind)")
        }

        /// B A
        func product(_ path: String) throws -> Tensor {
            LoftQTests.product(try tensor(path, "lora_A"), try tensor(path, "lora_B"))
        }

        /// The adapter's folder as peft writes it before a step.
        func write(to scratch: Scratch) throws {
            let text = #"{"peft_type": "LORA", "task_type": "CAUSAL_LM", \#(settings.dropFirst())"#
            try scratch.write(text, to: "adapter_config.json")
            try SafetensorsWriter.write(
                layers.flatMap { layer in
                    try ["lora_A", "lora_B"].map {
                        OutgoingTensor(
                            "base_model.model.\(layer.path).\($0).weight", try tensor(layer.path, $0), as: .float32)
                    }
                }, to: scratch("adapter_model.safetensors"))
        }
    }

    private static func product(_ a: Tensor, _ b: Tensor) -> Tensor {
        matrixProduct(b, transposingFirst: false, a, transposingSecond: false, scale: 1)
    }

    private static func linear(_ path: String, in base: BaseModel) throws -> Linear {
        for module in base.model.modules where module.path == path {
            if case .linear(let linear) = module.kind { return linear }
        }
        throw Problem("no \(path)")
    }

    /// W [outputs, inputs].
    private static func weight(_ linear: Linear) -> [Float] {
        let floats = linear.weight.value.floats
        if !linear.isInputByOutput { return floats.values }
        let (inputs, outputs) = (linear.inputSize, linear.outputSize)
        return (0..<outputs * inputs).map { floats.data[$0 % inputs * outputs + $0 / inputs] }
    }

    private static func quantized(_ path: String, _ settings: String) throws -> BaseModel {
        let settings = try QuantizationSettings(of: .parse(yaml: "model: {path: x, \(settings)}", overrides: []))
        return try BaseModel.load(
            path, randomSeed: nil, labels: nil, headSeed: 0, quantization: settings,
            warn: { Issue.record("unexpected: \($0)") })
    }

    private static var training: InstallationContext {
        InstallationContext(seed: 1, basePath: "base", isTraining: true)
    }

    /// The pair of a layer that trains.
    private static func pair(_ path: String, _ installation: any Installation) throws -> (a: Tensor, b: Tensor) {
        func tensor(_ ending: String) throws -> Tensor {
            try #require(installation.trainable.first { $0.name == path + ending }).tensor
        }
        return (try tensor(".lora_A.weight"), try tensor(".lora_B.weight"))
    }

    @Test("begins with peft's weights and pairs within 1e-5, and tells peft's errors", arguments: cases)
    func beginning(name: String) throws {
        let expected = try Case(name)
        let base = try BaseModel.quietly(expected.source)
        var context = Self.training
        var notes: [String] = []
        context.note = { notes.append($0) }
        let before = base.logits([1, 2, 3])
        let installation = try method("lora", expected.settings).install(into: base.model, context)
        for layer in expected.layers {
            let found = Self.weight(try Self.linear(layer.path, in: base))
            let (a, b) = try Self.pair(layer.path, installation)
            #expect(
                relativeDifference(found, try expected.tensor(layer.path, "base").values.map(Double.init)) <= 1e-5)
            #expect(
                relativeDifference(
                    Self.product(a, b).values, try expected.product(layer.path).values.map(Double.init)) <= 1e-5)
        }
        #expect(notes.count == 1)
        if let only = expected.layers.first, expected.layers.count == 1 {
            func percent(_ share: Double) -> String { "\((share * 10_000).rounded() / 100) %" }
            #expect(
                notes == [
                    "loftq: Q + B A of 1 layer is \(percent(only.error)) from its weights (relative Frobenius error); int8 "
                        + "alone is \(percent(only.plain))"
                ])
        }
        installation.remove()
        #expect(base.logits([1, 2, 3]) == before)
    }

    @Test("makes peft's base anew below a file of peft's, also merged", arguments: cases.dropLast())
    func reading(name: String) throws {
        let (expected, scratch) = (try Case(name), try Scratch())
        try expected.write(to: scratch)
        let whole = try BaseModel.quietly(expected.source)
        let scale = Float(name == "llama/4-5" ? 4 : 1)
        for layer in expected.layers {
            let sum = try expected.tensor(layer.path, "base").copy()
            let product = try expected.product(layer.path)
            for i in 0..<sum.count { sum.data[i] += scale * product.data[i] }
            try Self.linear(layer.path, in: whole).weight.tensor = sum
        }
        let wanted = whole.logits([5, 1, 9, 3, 6, 2]).map(Double.init)
        let plain = try BaseModel.quietly(expected.source)
        let before = plain.logits([5, 1, 9, 3, 6, 2])
        #expect(relativeDifference(before, wanted) > 1e-3)
        let installation = try plain.install(adapter: scratch.path)
        #expect(relativeDifference(plain.logits([5, 1, 9, 3, 6, 2]), wanted) <= 1e-5)
        installation.remove()
        #expect(plain.logits([5, 1, 9, 3, 6, 2]) == before)
        let summary = try merge(
            MergeSettings(
                base: expected.source, adapters: [.init(path: scratch.path, weight: 1)], output: scratch("merged"),
                elementType: .float32, overwrites: false), warn: { Issue.record("unexpected: \($0)") })
        let count = expected.layers.count == 1 ? "1 layer" : "\(expected.layers.count) layers"
        #expect(
            summary.notes == [
                "loftq: the weights of \(count) are the quantized ones (\(name.hasPrefix("llama/8") ? "int8" : "nf4")) that the "
                    + "adapter was trained on, made anew"
            ])
        let merged = try BaseModel.quietly(scratch("merged"))
        #expect(relativeDifference(merged.logits([5, 1, 9, 3, 6, 2]), wanted) <= 1e-5)
    }

    static let kinds = [
        "load_in_4bit: true", "load_in_4bit: true, bnb_4bit_use_double_quant: true",
        "load_in_4bit: true, bnb_4bit_quant_type: fp4, bnb_4bit_blocksize: 128", "load_in_8bit: true",
    ]

    @Test("keeps a quantized base in its own kind, and leads the next round by the last pair", arguments: kinds)
    func quantizedBase(kind: String) throws {
        let bits = kind.contains("8bit") ? 8 : 4
        func begin(_ iterations: Int) throws -> (BaseModel, any Installation) {
            let base = try Self.quantized(Self.llama, kind)
            let settings = """
                {"r": 3, "lora_alpha": 3, \(Self.three), "init_lora_weights": "loftq",
                 "loftq_config": {"loftq_bits": \(bits), "loftq_iter": \(iterations)}}
                """
            return (base, try method("lora", settings).install(into: base.model, Self.training))
        }
        let plain = try Self.quantized(Self.llama, kind)
        let floats = try BaseModel.quietly(Self.llama)
        let ((first, one), (second, two)) = (try begin(1), try begin(2))
        for path in ["self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"].map({ "model.layers.0." + $0 }) {
            func codes(_ base: BaseModel) throws -> QuantizedTensor {
                try #require(try Self.linear(path, in: base).weight.value as? QuantizedTensor)
            }
            let (own, once, twice) = (try codes(plain), try codes(first), try codes(second))
            #expect(once.quantization == own.quantization && twice.quantization == own.quantization)
            #expect(once.codesByRows() == own.codesByRows() && once.scales.values == own.scales.values)
            let weight = try Self.linear(path, in: floats).weight.tensor
            func rest(_ other: Tensor) -> Tensor {
                Tensor(zip(weight.values, other.values).map { $0 - $1 }, shape: weight.shape)
            }
            let made = try Self.pair(path, one)
            let target = try QuantizedTensor.quantizing(
                rest(Self.product(made.a, made.b)), isInputByOutput: false, own.quantization, originalType: "float32")
            #expect(twice.codesByRows() == target.codesByRows())
            let pair = try Self.pair(path, two)
            func error(_ base: QuantizedTensor, _ pair: (a: Tensor, b: Tensor)) -> Double {
                let product = Self.product(pair.a, pair.b)
                return sumOfSquares(
                    rest(Tensor(zip(base.floats.values, product.values).map { $0 + $1 }, shape: weight.shape)))
            }
            let bare = sumOfSquares(rest(own.floats))
            #expect(error(once, made) < 0.6 * bare && error(twice, pair) < error(once, made))
        }
        one.remove()
        #expect(first.logits([1, 2, 3]) == plain.logits([1, 2, 3]))
    }

    @Test("says in the file which kind it was, and is the same from there, on floats too", arguments: kinds)
    func roundTrip(kind: String) throws {
        let base = try Self.quantized(Self.llama, kind)
        let scratch = try Scratch()
        let settings = """
            {"r": 2, "lora_alpha": 5, \(Self.three), "init_lora_weights": "loftq",
             "loftq_config": {"loftq_bits": \(kind.contains("8bit") ? 8 : 4), "loftq_iter": 3}}
            """
        let installation = try method("lora", settings).install(into: base.model, Self.training)
        for (index, parameter) in installation.trainable.enumerated() {
            let moved = noise(parameter.count, seed: UInt64(index), scale: 0.1)
            for (i, change) in moved.enumerated() { parameter.tensor.data[i] += change }
        }
        let trained = base.logits([5, 1, 9, 3, 6, 2])
        guard case .adapter(let configuration, let tensors) = installation.deliver() else {
            Issue.record("no adapter was delivered")
            return
        }
        try AdapterFolder.write(
            configuration: configuration, tensors: tensors.map { OutgoingTensor($0.name, $0.tensor, as: .float32) },
            to: scratch.path)
        let written = try JSONNode.load(path: scratch("adapter_config.json"))
        #expect(try written.string("init_lora_weights") == "loftq")
        let isPlain = kind == Self.kinds[0] || kind == Self.kinds[3]
        #expect(try written.object("loftq_config").count == (isPlain ? 2 : 5))
        #expect((installation.formObstacle == nil) == isPlain)
        let same = try Self.quantized(Self.llama, kind)
        let again = try same.install(adapter: scratch.path)
        #expect(same.logits([5, 1, 9, 3, 6, 2]) == trained)
        guard case .adapter(let second, _) = again.deliver() else { return }
        let config = try JSONNode.parse(second.text(.compact)).required("loftq_config").plain
        #expect(try config == written.required("loftq_config").plain)
        // Layers without an adapter are other ones in floats, so that weights are compared.
        let floats = try BaseModel.quietly(Self.llama)
        _ = try floats.install(adapter: scratch.path)
        for path in ["self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"].map({ "model.layers.0." + $0 }) {
            let value = try Self.linear(path, in: floats).weight.value
            let other = try Self.linear(path, in: same).weight.value
            #expect(value is Tensor && value.isEqual(to: other))
        }
    }

    @Test("warns of a scale other than 1 with what it costs")
    func scale() throws {
        let expected = try Case("llama/4-5")
        func warnings(_ more: String) throws -> [String] {
            let base = try BaseModel.quietly(expected.source)
            var context = Self.training
            var told: [String] = []
            context.warn = { told.append($0.description) }
            let settings = #"{"r": 3, \#(Self.three), "init_lora_weights": "loftq", \#(more)}"#
            _ = try method("lora", settings).install(into: base.model, context)
            return told
        }
        #expect(try warnings(#""lora_alpha": 3"#) == [])
        let text = try warnings(#""lora_alpha": 12"#)
        #expect(
            text == [
                "1:107: warning: lora_alpha: peft's loftq doesn't divide lora_alpha / r out of B A, and so it isn't here: 4 "
                    + "times B A leaves the beginning 21.22 % from the weights, where nf4 alone is 9.16 %; with r as "
                    + "lora_alpha it is 6.18 %"
            ])
        #expect(try warnings(#""lora_alpha": 3, "use_rslora": true"#).first?.contains("lora_alpha / √r") == true)
        #expect(try warnings(#""lora_alpha": 3, "rank_pattern": {"q_proj": 2}"#).count == 1)
    }

    @Test("is refused where the base has no floats, or other bits")
    func obstacles() throws {
        let settings = #"{"r": 3, "lora_alpha": 3, "target_modules": ["q_proj"], "init_lora_weights": "loftq"}"#
        let codes = try BaseModel.quietly(Self.folder + "llama")
        let before = codes.logits([1, 2, 3])
        #expect(
            complaint(in: "") { _ = try method("lora", settings).install(into: codes.model, Self.training) }
                == "1:78: error: init_lora_weights: 'loftq' begins with the floats of model.layers.0.self_attn.q_proj, of "
                + "which the base has nothing but 4-bit codes: give the model as it was before, with load_in_4bit or "
                + "load_in_8bit")
        #expect(codes.logits([1, 2, 3]) == before)
        let base = try Self.quantized(Self.llama, "load_in_8bit: true")
        #expect(
            complaint(in: "") { _ = try method("lora", settings).install(into: base.model, Self.training) }
                == "1:1: error: loftq_config.loftq_bits: is 4, and the base is kept in 8 bits: set it to 8")
    }

    @Test("resumes to the bit on a base in few bits, and tells a run's plan how it begins")
    func resuming() throws {
        let training = try TinyTraining()
        try training.run(["peft.method=full", "training.max_steps=1"], into: "base")
        let changes = [
            "model.init=pretrained", "model.load_in_4bit=true", "model.bnb_4bit_use_double_quant=true", "peft.r=2",
            "peft.lora_alpha=3", "peft.init_lora_weights=loftq", "peft.loftq_config.loftq_iter=2",
            "training.share_prompts=off",
        ]
        let whole = try training.run(changes, into: "whole", model: training.scratch("base"))
        #expect(whole.plan?.notes.count == 1 && whole.plan?.warnings.contains { $0.key == "peft.lora_alpha" } == true)
        try training.run(changes, stoppingAfter: 5, model: training.scratch("base"))
        let last = try training.run(changes, .resume, model: training.scratch("base"))
        #expect(last.plan?.firstStep == 5)
        #expect(
            try training.bytes("run/adapter_model.safetensors") == training.bytes("whole/adapter_model.safetensors"))
        #expect(try training.scratch.text("run/README.md").contains("only this tool loads"))
        // And goes on from what it delivered.
        let next = try training.run(
            changes.dropLast(4) + ["peft.init_from=\"\(training.scratch("run"))\"", "peft.r=2"], into: "next",
            model: training.scratch("base"))
        #expect(next.plan?.notes.first?.contains("made anew") == true && next.summary?.steps == 12)
        #expect(try training.scratch.text("next/adapter_config.json").contains(#""init_lora_weights": "loftq""#))
    }
}
