import Layers
import Methods
import Models
import Tensors
import Testing
import Configuration
import JSONText

@Suite("A method that trains parameters of the model itself") struct ParameterMethodTests {
    static let complaints: [(method: String, settings: String, text: String)] = [
        (
            "bitfit", #"{"biases": ["query", "qry"]}"#,
            "1:12: error: biases: expected some of all, query, key, value, attention_output, intermediate, output, "
                + "norm, got 'qry'"
        ),
        ("bitfit", #"{"biases": []}"#, "1:12: error: biases: names no bias, so nothing would train"),
        (
            "bitfit", #"{"biases": ["query", "value"]}"#,
            "1:12: error: biases: one layer computes queries, keys and values, and these are parts of its bias with "
                + "others between them: name query, key and value together"
        ),
        (
            "bitfit", #"{"modules_to_save": ["transformer"]}"#,
            "1:21: error: modules_to_save: the model has no linear layer with a bias besides"
        ),
        (
            "bitfit", #"{"target_modules": ["c_attn"]}"#,
            "1:20: error: target_modules: isn't for bitfit, which takes what trains by biases"
        ),
        (
            "last_layers", #"{"layers": 0, "final_norm": false}"#,
            "1:12: error: layers: 0, and neither final_norm nor head: nothing would train"
        ),
        ("last_layers", #"{"layers": 3}"#, "1:12: error: layers: the model has only 2 blocks"),
        (
            "last_layers", #"{"target_modules": ["h.1"]}"#,
            "1:20: error: target_modules: isn't for last_layers, which takes the number of blocks by layers"
        ),
        (
            "ln_tuning", #"{"target_modules": ["ln_3"]}"#,
            "1:20: error: target_modules: 'ln_3' matches no module; did you mean 'ln_1'? the model has the modules wte, wpe, "
                + "ln_1, c_attn, c_proj, ln_2, c_fc, ln_f, lm_head"
        ),
        (
            "ln_tuning", #"{"modules_to_save": ["transformer"]}"#,
            "1:21: error: modules_to_save: takes every module that target_modules selects"
        ),
    ]

    @Test("says what it can't do, and leaves the model as it was", arguments: complaints)
    func errors(_ name: String, settings: String, text: String) throws {
        let method = try #require(methods.first { $0.name == name })
        let small = try SmallModel()
        let (logits, tensors) = (small.logits, small.model.parameters.map(\.tensor))
        #expect(complaint { _ = try small.install(method, settings) } == text)
        #expect(small.model.isHeadTied)
        #expect(areIdentical(small.model.parameters.map(\.tensor), tensors))
        #expect(small.logits == logits)
    }

    @Test("goes on from the last layers of an adapter where its settings choose the same")
    func startOfLastLayers() throws {
        func section(_ text: String) throws -> ConfigSection { ConfigDocument(json: try JSONNode.parse(text)).root }
        let file = #"{"peft_type": "LORA", "modules_to_save": ["transformer.h.1", "transformer.ln_f"]}"#
        let start = try LastLayers(section(file), startingFrom: nil)
        let model = try SmallModel().model
        for same in ["{}", #"{"layers": 1}"#, #"{"layers": 1, "final_norm": true, "head": false}"#] {
            try LastLayers(section(same), startingFrom: start).check(model)
        }
        #expect(
            complaint { try LastLayers(section(#"{"layers": 2}"#), startingFrom: start).check(model) }
                == "1:12: error: layers: chooses transformer.h.0, transformer.h.1, transformer.ln_f, but the adapter "
                + "that init_from names has transformer.h.1, transformer.ln_f; leave the setting out")
    }

    @Test("trains no more than it says and decays no bias and no norm")
    func trained() throws {
        func names(_ method: any PEFTMethod.Type, _ settings: String) throws -> [String] {
            try SmallModel().install(method, settings).trainable.map {
                "\($0.name.replacing("transformer.", with: "")) \($0.count)\($0.decays ? " decays" : "")"
            }
        }
        #expect(
            try names(BitFit.self, #"{"biases": "query"}"#)
                == ["h.0.attn.c_attn.base_layer.bias 8", "h.1.attn.c_attn.bias 8"])
        #expect(
            try names(BitFit.self, #"{"biases": ["value", "intermediate", "key"]}"#) == [
                "h.0.attn.c_attn.base_layer.bias 16", "h.0.mlp.c_fc.bias 12", "h.1.attn.c_attn.bias 16",
                "h.1.mlp.c_fc.bias 12",
            ])
        #expect(try names(BitFit.self, "{}").count == 13)
        #expect(
            try names(LastLayers.self, #"{"layers": 0, "head": true}"#)
                == ["ln_f.weight 8", "ln_f.bias 8", "lm_head.weight 88 decays"])
        #expect(
            try names(LNTuning.self, #"{"target_modules": ["ln_f", "h.0.mlp.c_fc"]}"#) == [
                "h.0.mlp.c_fc.ln_tuning_layers.weight 96 decays", "h.0.mlp.c_fc.ln_tuning_layers.bias 12",
                "ln_f.ln_tuning_layers.weight 8", "ln_f.ln_tuning_layers.bias 8",
            ])
    }

    @Test("takes the last blocks of the decoder where there is an encoder, whole, and the norm behind them")
    func lastLayersOfDecoder() throws {
        func names(_ settings: String) throws -> Set<String> {
            Set(try SmallModel(.t5).install(LastLayers.self, settings).trainable.map(\.name))
        }
        let all = Set(try SmallModel(.t5).model.parameters.map(\.name))
        let last = all.filter { $0.hasPrefix("decoder.block.1.") }
        #expect(last.count == 13)
        #expect(try names("{}") == last.union(["decoder.final_layer_norm.weight"]))
        #expect(try names(#"{"layers": 2}"#) == all.filter { $0.hasPrefix("decoder.") })
        #expect(
            complaint { _ = try SmallModel(.t5).install(LastLayers.self, #"{"layers": 3}"#) }
                == "1:12: error: layers: the model has only 2 blocks")
    }

    @Test("computes nothing backwards below the lowest layer that trains")
    func depth() throws {
        let small = try SmallModel()
        _ = try small.install(LastLayers.self, #"{"layers": 0, "final_norm": false, "head": true}"#)
        #expect(!small.model.states(small.batch, rows: nil, .inference()).needsGradient)
        let other = try SmallModel()
        _ = try other.install(LastLayers.self, "{}")
        let trained = Set(other.model.parameters.filter { $0.tensor.needsGradient }.map(\.name))
        #expect(trained.allSatisfy { $0.hasPrefix("transformer.h.1.") || $0.hasPrefix("transformer.ln_f.") })
        #expect(trained.count == 14)
    }

    @Test("delivers every bias, those that didn't train as they were, and takes its own file back")
    func bitfitFile() throws {
        let small = try SmallModel()
        let installation = try small.install(BitFit.self, #"{"biases": "query"}"#)
        guard case .adapter(_, let tensors) = installation.deliver() else {
            Issue.record("no adapter was delivered")
            return
        }
        #expect(tensors.count == 15)
        let found = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name.dropping("base_model.model."), $0.tensor) })
        #expect(found["transformer.h.1.mlp.c_fc.bias"]?.values == small.values["transformer.h.1.mlp.c_fc.bias"])
        let changed = found.mapValues { $0.copy() }
        changed["transformer.h.0.attn.c_attn.lora_A.weight"]?.data[3] = 1
        changed["transformer.h.0.attn.c_attn.lora_B.weight"]?.data[3] = 1
        #expect(
            complaint { try installation.load(changed, file: "f") }
                == "f: error: transformer.h.0.attn.c_attn.lora_B.weight: has a low-rank part that isn't zero, so it is "
                + "an adapter of the method lora and not of bitfit")
        let other = try SmallModel()
        for parameter in other.model.parameters where parameter.name.hasSuffix("bias") {
            parameter.tensor = Tensor(zeros: parameter.shape)
        }
        try other.install(BitFit.self, #"{"biases": "query"}"#).load(found, file: "f")
        #expect(other.logits == small.logits)
    }
}

extension String {
    fileprivate func dropping(_ prefix: String) -> String { hasPrefix(prefix) ? String(dropFirst(prefix.count)) : self }
}
