import FoundationEssentials
import JSONText

/// GPT-2's vocabulary with another way to cut texts, which goes through all that tokenizer.json may say.
enum PatternTokenizer {
    /// By Llama 3's pattern.
    case llama3
    /// Digits one by one, as SmolLM2 has it.
    case digits

    /// `reference_text.py` has the same.
    private static let pattern =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

    private var first: JSONValue {
        switch self {
        case .llama3:
            [
                "type": "Split", "pattern": ["Regex": .string(Self.pattern)], "behavior": "Isolated", "invert": false,
            ]
        case .digits: ["type": "Digits", "individual_digits": true]
        }
    }

    /// What `body` makes of a folder with the tokenizer, whose vocabulary and merges `folder` holds.
    func inFolder<Value>(of folder: String, _ body: (String) throws -> Value) throws -> Value {
        let bytes: JSONValue = [
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
            "use_regex": .boolean(self == .digits),
        ]
        let merges = try String(contentsOfFile: folder + "/merges.txt", encoding: .utf8).split(separator: "\n")
            .filter { !$0.hasPrefix("#version") }.map { JSONValue.string(String($0)) }
        let file: JSONValue = [
            "pre_tokenizer": ["type": "Sequence", "pretokenizers": .array([first, bytes])],
            "decoder": bytes,
            "model": [
                "type": "BPE", "vocab": try JSONNode.load(path: folder + "/vocab.json").plain, "merges": .array(merges),
            ],
        ]
        let temporary = FileManager.default.temporaryDirectory.appending(path: "peft-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: temporary, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: temporary) }
        try Data(file.text(.compact).utf8).write(to: temporary.appending(path: "tokenizer.json"))
        return try body(temporary.path())
    }
}
