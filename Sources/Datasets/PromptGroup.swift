import JSONText

/// A rendered prompt with the completions of all records that have it.
public struct PromptGroup: Sendable, Hashable {
    public var prompt: PlacedText
    /// In the order of the files.
    public var references: [String]
    /// The first record that has the prompt, counted from 0.
    public let record: Int

    public init(prompt: PlacedText, references: [String], record: Int) {
        self.prompt = prompt
        self.references = references
        self.record = record
    }

    /// Groups the records of the files by their rendered prompts, in the order of first appearance. Throws a
    /// `Problem` or `Problems` with file and line where records are broken or lack a field.
    ///
    /// - Parameter limit: Only so many records, from the first on; nil for all.
    public static func load(
        paths: [String], prompt: Template, completion: Template, limit: Int?
    ) throws -> [PromptGroup] {
        let records = try RecordSet(paths: paths, limit: limit)
        let promptFields = prompt.fields.count
        var groups: [PromptGroup] = []
        var places: [ByteString: Int] = [:]
        try records.forEachInParallel({ file, index in
            let values = try file.texts(of: prompt.fields + completion.fields, at: index)
            return (prompt.renderPlaces(values[..<promptFields]), completion.render(values[promptFields...]))
        }) { index, texts in
            if let place = places[ByteString(texts.0.source)] {
                groups[place].references.append(texts.1)
            } else {
                places[ByteString(texts.0.source)] = groups.count
                groups.append(PromptGroup(prompt: texts.0, references: [texts.1], record: index))
            }
        }
        return groups
    }
}
