import Configuration
import JSONText
import Layers
import Models
import Testing

@Suite("T5's config.json") struct T5ConfigurationTests {
    private func model(_ members: String) throws -> (computation: String, warnings: [String]) {
        let text = """
            {"vocab_size": 5, "d_model": 6, "num_layers": 1, "num_heads": 2, "d_kv": 3, "d_ff": 4,
             "decoder_start_token_id": 0\(members)}
            """
        let source = RandomParameters(seed: 1)
        let model = try T5(configuration: ConfigDocument(json: JSONNode.parse(text)).root, source: source)
        return (model.computation, source.warnings.map { "\($0)" })
    }

    @Test("says by feed_forward_proj what the feed-forward part is, unless what that stands for is there too")
    func feedForward() throws {
        let cases = [
            ("", "relu"), (#", "feed_forward_proj": "gated-gelu""#, "gated gelu_new"),
            (#", "feed_forward_proj": "gelu", "dense_act_fn": "gelu", "is_gated_act": false"#, "gelu"),
            (
                #", "feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu_new", "is_gated_act": true"#,
                "gated gelu_new"
            ),
            (#", "dense_act_fn": "silu", "is_gated_act": null"#, "silu"),
        ]
        for (members, expected) in cases {
            let (computation, warnings) = try model(members)
            #expect(computation.hasPrefix("heads 2, \(expected), epsilon"), "\(members)")
            #expect(warnings == [], "\(members)")
        }
        let other = try model(#", "feed_forward_proj": "gated-gelu", "dense_act_fn": "relu", "is_gated_act": false"#)
        #expect(other.computation.hasPrefix("heads 2, relu, epsilon"))
        #expect(
            other.warnings == [
                "2:52: warning: feed_forward_proj: differs from is_gated_act, which counts, as in transformers",
                "2:52: warning: feed_forward_proj: differs from dense_act_fn, which counts, as in transformers",
            ])
    }

    @Test("has the synonyms that transformers knows, and says where they differ")
    func synonyms() throws {
        let (computation, warnings) = try model(#", "num_attention_heads": 3, "hidden_size": 6"#)
        #expect(computation.hasPrefix("heads 3, relu, epsilon"))
        #expect(
            warnings == [
                "1:63: warning: num_heads: differs from num_attention_heads, which counts, as in transformers"
            ])
    }
}
