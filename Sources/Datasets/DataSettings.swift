public import Configuration
import Diagnostics
public import Tokenizers

/// The `data` section of a configuration.
public struct DataSettings: Sendable, Hashable {
    /// The files to train on, one behind the other.
    public var train: [String]
    /// The files to evaluate on; empty for none.
    public var validation: [String]
    public var templates: ExampleTemplates
    /// The most tokens of an example; nil for as many as the model takes.
    public var maximumLength: Int?
    public var policy: LengthPolicy
    public var shuffles: Bool
    /// The tokens of a block where texts are laid one behind the other; nil for a record an example.
    public var blockSize: Int?

    /// Reads all keys; what is wrong or contradicts is recorded in the document. `train` may be absent where
    /// `needsTrainingFiles` is false.
    public init(_ section: ConfigSection, needsTrainingFiles: Bool) {
        train = section.optionalStrings("train") ?? []
        validation = section.optionalStrings("validation") ?? []
        let prompt = Self.template(section, "prompt")
        let completion = Self.template(section, "completion")
        let text = Self.template(section, "text")
        maximumLength = section.optionalInt("max_length", in: 2...)
        policy = section.choice("max_length_policy", default: LengthPolicy.error)
        shuffles = section.bool("shuffle", default: true)
        blockSize = section.optionalInt("block_size", in: 2...)
        templates = .text(Self.wholeLine)

        if needsTrainingFiles, train.isEmpty { section.record("missing: name the file to train on", at: "train") }
        if let text {
            templates = .text(text)
            for key in ["prompt", "completion"] where section.has(key) {
                section.record("can't be used together with text, on which all tokens are learned", at: key)
            }
        } else if let prompt, let completion {
            templates = .completion(prompt: prompt, completion: completion)
            if blockSize != nil {
                section.record("blocks are cut from text, not from prompts and completions", at: "block_size")
            }
        } else if section.has("prompt") != section.has("completion") {
            let missing = section.has("prompt") ? "completion" : "prompt"
            section.record("missing: prompt and completion belong together", at: missing)
        } else if !section.has("prompt"), !section.has("text"),
            !(train + validation).allSatisfy({ $0.lowercased().hasSuffix(".txt") })
        {
            section.record("missing: give prompt and completion, or text", at: "prompt")
        }
        if blockSize != nil, section.has("max_length") {
            section.record("can't be used together with block_size, which is every example's length", at: "max_length")
        }
    }

    /// What a line of a text file is learned by.
    private static var wholeLine: Template { Template(field: "text") }

    private static func template(_ section: ConfigSection, _ key: String) -> Template? {
        guard let source = section.optionalString(key) else { return nil }
        do {
            return try Template(source)
        } catch {
            section.record((error as? Problem)?.message ?? "\(error)", at: key)
            return nil
        }
    }

    /// The examples of `paths`, at most `lengthLimit` tokens each, which is what the model takes.
    ///
    /// Throws `Problem`s with file and line where records can't be used.
    public func dataset(
        paths: [String], tokenizer: any Tokenizer, beginningID: Int32?, endID: Int32?, lengthLimit: Int?
    ) throws -> Dataset {
        let length = [maximumLength, lengthLimit].compactMap { $0 }.min()
        var encoder = ExampleEncoder(
            templates: templates, tokenizer: tokenizer, beginningID: beginningID, endID: endID, maximumLength: length,
            policy: policy)
        if let length, length != maximumLength { encoder.limitName = "what the model takes" }
        if let blockSize, let lengthLimit, blockSize > lengthLimit {
            throw Problem("\(blockSize) is more than what the model takes (\(lengthLimit))", key: "data.block_size")
        }
        if let blockSize { return try Dataset(paths: paths, blockSize: blockSize, encoder: encoder) }
        return try Dataset(paths: paths, encoder: encoder)
    }
}
