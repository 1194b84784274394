public import ChatTemplates
import JSONText

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

    /// Groups conversations by what comes before the assistant's last turn, which is the reference.
    ///
    /// - Throws: as below, and for a conversation in which the assistant says nothing.
    public static func load(
        paths: [String], conversationsIn field: String, limit: Int?
    ) throws -> [PromptGroup] {
        let records = try RecordSet(paths: paths, limit: limit)
        var groups: [PromptGroup] = []
        var places: [ByteString: Int] = [:]
        try records.forEachInParallel({ file, index in
            let conversation = try file.conversation(in: field, at: index)
            guard let last = conversation.lastAnswer else {
                throw file.problem(
                    "the assistant's last turn says nothing that a text could be compared with", at: index)
            }
            return last
        }) { index, last in
            let key = last.question.text
            if let place = places[ByteString(key)] {
                groups[place].references.append(last.answer)
            } else {
                places[ByteString(key)] = groups.count
                var prompt = PlacedText()
                prompt.appendLiteral(key)
                var group = PromptGroup(prompt: prompt, references: [last.answer], record: index)
                group.conversation = last.question
                groups.append(group)
            }
        }
        return groups
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
