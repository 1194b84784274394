import Foundation
import JSONText
import Testing

@Suite("peft generate with a model's generation_config.json") struct SavedGenerationTests {
    private let small: SmallModel

    init() throws { small = try SmallModel() }

    /// What comes of some prompts with the file, or without one.
    private func generate(_ saved: String?, _ arguments: [String] = []) throws -> Outcome {
        let file = small.folder.url.appending(path: "model/generation_config.json")
        try? FileManager.default.removeItem(at: file)
        if let saved { try small.folder.write(saved, to: "model/generation_config.json") }
        let outcome = try RunningTool(
            ["generate", "--base", small.model, "--json"] + arguments, input: "abc\nhello, you\nx"
        ).outcome()
        return Outcome(
            status: outcome.status, output: outcome.output,
            errors: outcome.errors.replacing(small.folder.path + "/", with: ""))
    }

    @Test(
        "does as it says where options say nothing, and tells so",
        arguments: [
            (
                #"{"max_new_tokens": 5, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2, "top_p": 0.5}"#,
                ["--max-new-tokens", "5", "--repetition-penalty", "1.3", "--no-repeat-ngram-size", "2"],
                "repetition_penalty 1.3, no_repeat_ngram_size 2, max_new_tokens 5"
            ),
            (
                #"{"do_sample": true, "temperature": 0.7, "top_p": 0.9, "max_new_tokens": 6, "eos_token_id": 256}"#,
                ["--max-new-tokens", "6", "--temperature", "0.7", "--top-p", "0.9", "--top-k", "50"],
                "do_sample, temperature 0.7, top_k 50, top_p 0.9, max_new_tokens 6"
            ),
            (
                #"{"do_sample": true, "top_k": 7, "min_p": 0.01, "typical_p": 0.95, "max_new_tokens": 6}"#,
                [
                    "--max-new-tokens", "6", "--temperature", "1", "--top-k", "7", "--min-p", "0.01", "--typical-p",
                    "0.95",
                ], "do_sample, top_k 7, min_p 0.01, typical_p 0.95, max_new_tokens 6"
            ),
            (
                #"{"num_beams": 3, "length_penalty": 0.5, "early_stopping": "never", "num_return_sequences": 2, "max_new_tokens": 4}"#,
                [
                    "--max-new-tokens", "4", "--num-beams", "3", "--length-penalty", "0.5", "--early-stopping", "never",
                    "--num-return-sequences", "2",
                ],
                "num_beams 3, length_penalty 0.5, early_stopping never, num_return_sequences 2, max_new_tokens 4"
            ),
        ])
    func taken(saved: String, options: [String], note: String) throws {
        let plain = try generate(nil, options)
        #expect(plain.status == 0 && plain.errors == "", "\(plain.errors)")
        let found = try generate(saved)
        #expect(found.status == 0)
        #expect(found.output == plain.output)
        #expect(found.errors == "as model/generation_config.json says: \(note); options come before it\n")
        // Options as the file has them.
        #expect(try generate(saved, options).output == plain.output)
        #expect(try generate(nil, ["--max-new-tokens", "6"]).output != plain.output)
    }

    @Test("goes by its max_length as transformers does, the prompt included") func length() throws {
        let found = try generate(#"{"max_length": 12, "num_beams": 1, "temperature": 0.3}"#)
        #expect(found.errors == "as model/generation_config.json says: max_length 12; options come before it\n")
        let rows = try found.output.split(separator: "\n").map { try JSONNode.parse(String($0)) }
        let alone = try ["9", "2", "11"].enumerated().map { index, count in
            let all = try generate(nil, ["--max-new-tokens", count]).output.split(separator: "\n")
            return try JSONNode.parse(String(all[index])).string("completion")
        }
        #expect(try rows.map { try $0.string("completion") } == alone)
        // Nothing could follow one of them, which is no empty text.
        let short = try generate(#"{"max_length": 8}"#)
        #expect(short.status == 65)
        #expect(
            short.errors
                == "as model/generation_config.json says: max_length 8; options come before it\n"
                + "stdin:2:1: error: the prompt has 10 tokens, and max_length in generation_config.json is 8 with the "
                + "prompt: nothing can follow, give --max-new-tokens\n")
        #expect(
            try generate(#"{"max_length": 8}"#, ["--max-new-tokens", "3"]).output
                == generate(nil, ["--max-new-tokens", "3"]).output)
    }

    @Test("lets options come first, and warns of what nothing here does") func others() throws {
        let greedy = try generate(nil, ["--max-new-tokens", "6"])
        let drawn = #"{"do_sample": true, "max_new_tokens": 6}"#
        #expect(try generate(drawn, ["--temperature", "0"]).output == greedy.output)
        let searched = try generate(drawn, ["--num-beams", "2"])
        #expect(searched.output == (try generate(nil, ["--num-beams", "2", "--max-new-tokens", "6"])).output)
        #expect(
            searched.errors
                == "as model/generation_config.json says: max_new_tokens 6; options come before it\n"
                + "model/generation_config.json: warning: nothing here does what do_sample asks for: texts may be others "
                + "than transformers'\n")
        let strange = try generate(
            #"{"max_new_tokens": 6, "sequence_bias": [[[3], -1.0]], "guidance_scale": 1.5, "use_cache": false, "suppress_tokens": []}"#
        )
        #expect(strange.output == greedy.output)
        #expect(
            strange.errors
                == "as model/generation_config.json says: max_new_tokens 6; options come before it\n"
                + "model/generation_config.json: warning: nothing here does what sequence_bias, guidance_scale ask for: "
                + "texts may be others than transformers'\n")
        let beamed = try generate(#"{"num_beams": 4}"#, ["--temperature", "0.5", "--max-new-tokens", "6"])
        #expect(
            beamed.errors
                == "model/generation_config.json: warning: nothing here does what num_beams asks for: texts may be others than "
                + "transformers'\n")
        // What the option doesn't take isn't taken from the file either.
        let steep = try generate(#"{"num_beams": 2, "length_penalty": 1e308, "max_new_tokens": 6}"#)
        #expect(steep.output == searched.output)
        #expect(
            steep.errors
                == "as model/generation_config.json says: num_beams 2, max_new_tokens 6; options come before it\n"
                + "model/generation_config.json: warning: nothing here does what length_penalty asks for: texts may be others "
                + "than transformers'\n")
        #expect(try generate(#"{"eos_token_id": 256, "top_p": 0.5}"#, ["--max-new-tokens", "6"]) == greedy)
    }

    @Test(
        "says what is wrong in it",
        arguments: [
            (#"{"top_p": 1.5}"#, "model/generation_config.json:1:11: error: top_p: must be between 0 and 1, got 1.5\n"),
            (
                #"{"do_sample": "yes"}"#,
                "model/generation_config.json:1:15: error: do_sample: expected true or false, got \"yes\"\n"
            ),
            (
                #"{"do_sample": true, "temperature": 0.0}"#,
                "model/generation_config.json: error: temperature: must be above 0 where do_sample is true, got 0.0\n"
            ),
            (
                #"{"early_stopping": 3}"#,
                "model/generation_config.json:1:20: error: early_stopping: must be true, false or \"never\", got 3\n"
            ),
            (
                #"{"bad_words_ids": [[7, 300]]}"#,
                "model/generation_config.json: error: bad_words_ids: 300 is no id of the vocabulary, which has 300\n"
            ),
        ])
    func problems(saved: String, message: String) throws {
        let outcome = try generate(saved)
        #expect(outcome.status == 65 && outcome.output == "")
        #expect(outcome.errors == message)
    }
}
