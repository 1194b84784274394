import ChatTemplates
import JSONText

/// The different prompts of the records of some files, in the order of first appearance, each with the completions of all
/// records that have it. Texts are made anew when they are asked for: what is kept is where they stand.
public struct PromptGroups: Sendable {
    private enum Source: Sendable {
        case templates(prompt: Template, completion: Template)
        /// The prompt is what comes before the assistant's last turn, which is the completion.
        case conversations(field: String)
    }

    /// What a record gives.
    private struct Parts {
        var prompt: PlacedText
        var conversation: Conversation?
        var completion: String
    }

    private let records: RecordSet
    private let source: Source
    /// The records of each group.
    private var members: [[Int32]] = []

    public var count: Int { members.count }

    /// Throws a `Problem` or `Problems` with file and line where records are broken or lack a field.
    ///
    /// - Parameter limit: Only so many records, from the first on; nil for all.
    public init(paths: [String], prompt: Template, completion: Template, limit: Int?) throws {
        try self.init(paths: paths, limit: limit, .templates(prompt: prompt, completion: completion))
    }

    /// - Throws: as above, and for a conversation in which the assistant says nothing.
    public init(paths: [String], conversationsIn field: String, limit: Int?) throws {
        try self.init(paths: paths, limit: limit, .conversations(field: field))
    }

    private init(paths: [String], limit: Int?, _ source: Source) throws {
        try self.init(RecordSet(paths: paths, limit: limit), source, only: nil)
    }

    /// The prompts of a data set's examples; nil where they have none.
    ///
    /// - Throws: as above.
    package init?(of dataset: Dataset) throws {
        if dataset.isInBlocks { return nil }
        let source: Source
        switch dataset.encoder.templates {
        case .completion(let prompt, let completion): source = .templates(prompt: prompt, completion: completion)
        case .conversation(let conversation): source = .conversations(field: conversation.field)
        case .text, .labelled: return nil
        }
        try self.init(dataset.records, source, only: dataset.kept.map(Set.init))
    }

    /// - Parameter only: The records that are taken; nil for all.
    private init(_ records: RecordSet, _ source: Source, only: Set<Int32>?) throws {
        self.records = records
        self.source = source
        // The groups whose prompts have a hash; nearly always one.
        var places: [UInt64: [Int32]] = [:]
        var members: [[Int32]] = []
        try records.forEachInParallel({ try Self.parts(source, $0, $1).prompt.source }) { index, prompt in
            if only?.contains(Int32(index)) == false { return }
            let hash = Self.hash(prompt)
            let place = try places[hash, default: []].first { place in
                let (file, local) = records.locate(Int(members[Int(place)][0]))
                return sameBytes(try Self.parts(source, file, local).prompt.source, prompt)
            }
            if let place {
                members[Int(place)].append(Int32(index))
            } else {
                places[hash, default: []].append(Int32(members.count))
                members.append([Int32(index)])
            }
        }
        self.members = members
    }

    /// The group `index`.
    public subscript(index: Int) -> PromptGroup {
        get throws {
            var references: [String] = []
            var first: Parts?
            for record in members[index] {
                let (file, local) = records.locate(Int(record))
                let parts = try Self.parts(source, file, local)
                references.append(parts.completion)
                first = first ?? parts
            }
            var group = PromptGroup(
                prompt: first?.prompt ?? PlacedText(), references: references, record: Int(members[index][0]))
            group.conversation = first?.conversation
            return group
        }
    }

    private static func hash(_ text: String) -> UInt64 {
        var text = text
        return text.withUTF8 { ContentHash.value(of: UnsafeRawBufferPointer($0)) }
    }

    private static func parts(_ source: Source, _ file: RecordFile, _ index: Int) throws -> Parts {
        switch source {
        case .templates(let prompt, let completion):
            let values = try file.texts(of: prompt.fields + completion.fields, at: index)
            let count = prompt.fields.count
            return Parts(
                prompt: prompt.renderPlaces(values[..<count]), conversation: nil,
                completion: completion.render(values[count...]))
        case .conversations(let field):
            guard let last = try file.conversation(in: field, at: index).lastAnswer else {
                throw file.problem(
                    "the assistant's last turn says nothing that a text could be compared with", at: index)
            }
            var prompt = PlacedText()
            prompt.appendLiteral(last.question.text)
            return Parts(prompt: prompt, conversation: last.question, completion: last.answer)
        }
    }
}
