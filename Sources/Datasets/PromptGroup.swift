public import ChatTemplates

/// A rendered prompt with the completions of all records that have it.
public struct PromptGroup: Sendable, Hashable {
    public var prompt: PlacedText
    /// The conversation that is gone on with, where that is what is given; the prompt is its JSON then.
    public var conversation: Conversation?
    /// In the order of the files.
    public var references: [String]
    /// The first record that has the prompt, counted from 0.
    public let record: Int

    public init(prompt: PlacedText, references: [String], record: Int) {
        self.prompt = prompt
        self.references = references
        self.record = record
    }

    /// The groups of all records, see `PromptGroups`.
    public static func load(
        paths: [String], prompt: Template, completion: Template, limit: Int?
    ) throws -> [PromptGroup] {
        let groups = try PromptGroups(paths: paths, prompt: prompt, completion: completion, limit: limit)
        return try (0..<groups.count).map { try groups[$0] }
    }
}
