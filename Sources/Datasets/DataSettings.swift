public import Configuration
import Diagnostics
import JSONText

/// The `data` section of a configuration.
public struct DataSettings: Sendable, Hashable {
    /// The files to train on, one behind the other.
    public var train: [String]
    /// How often the records of each of them come in an epoch; 1 where nothing else is said.
    public var weights: [Double]
    /// The files to evaluate on; empty for none.
    public var validation: [String]
    /// The part of the examples that is left out of training, to be evaluated on; nil for none.
    public var validationFraction: Double?
    public var templates: ExampleTemplates
    /// The labels in the order of their numbers, where the configuration names them.
    public var labels: [String]?
    /// Whether labels are numbers rather than classes, where the configuration says so.
    public var labelsAreNumbers: Bool?
    /// The most tokens of an example; nil for as many as the model takes.
    public var maximumLength: Int?
    /// The same of a completion alone, where an encoder reads the prompt; nil for `maximumLength`.
    public var maximumTargetLength: Int?
    public var policy: LengthPolicy
    public var shuffles: Bool
    /// Whether records with the same prompt stand together.
    public var groupsByPrompt: Bool
    /// The tokens of a block where texts are laid one behind the other; nil for a record an example.
    public var blockSize: Int?

    /// Reads all keys; what is wrong or contradicts is recorded in the document. `train` may be absent where
    /// `needsTrainingFiles` is false.
    ///
    /// - Parameter task: nil where it isn't known, so that which keys belong to it can't be told.
    public init(_ section: ConfigSection, task: LearningTask? = .causalLM, needsTrainingFiles: Bool) {
        let trained = DataFiles(section, DataFiles.weighted, areNeeded: needsTrainingFiles)
        train = trained.files.map(\.path)
        weights = trained.files.map(\.weight)
        validation = DataFiles(section, "validation", areNeeded: needsTrainingFiles).files.map(\.path)
        validationFraction = section.optionalDouble("validation_fraction", in: Above(0))
        if let validationFraction, validationFraction >= 1 {
            section.record("must be less than 1, got \(validationFraction)", at: "validation_fraction")
        }
        if validationFraction != nil, !validation.isEmpty {
            section.record("can't be used together with validation, which names files", at: "validation_fraction")
        }
        let prompt = Self.template(section, "prompt")
        let completion = Self.template(section, "completion")
        let text = Self.template(section, "text")
        let label = Self.template(section, "label")
        let messages = section.optionalString("messages")
        let chatTemplate = section.optionalString("chat_template")
        let chatLoss =
            section.optionalChoice("loss_on", of: ChatLoss.allCases.map(\.rawValue))
            .flatMap(ChatLoss.init(rawValue:)) ?? .assistant
        let format = section.optionalChoice("format", of: RecordForm.allCases.map(\.rawValue))
            .flatMap(RecordForm.init(rawValue:))
        let labelPattern = section.optionalString("label_pattern")
        let choices = section.optionalStrings("choices")
        labels = section.optionalStrings("labels")
        let types = LabelSet.problemTypes
        labelsAreNumbers = section.optionalChoice("problem_type", of: [types.classification, types.regression])
            .map { $0 == types.regression }
        maximumLength = section.optionalInt("max_length", in: 2...)
        maximumTargetLength = section.optionalInt("max_target_length", in: 2...)
        policy = section.choice("max_length_policy", default: LengthPolicy.error)
        shuffles = section.bool("shuffle", default: true)
        groupsByPrompt = section.bool("group_by_prompt", default: false)
        blockSize = section.optionalInt("block_size", in: 2...)
        templates = .text(Self.wholeLine)

        if blockSize != nil, weights.contains(where: { $0 != 1 }) {
            section.record(
                "weights are those of a file's records, and a block may be made of several files'", at: "train")
        }
        if needsTrainingFiles, trained.isMissing { section.record("missing: name the file to train on", at: "train") }
        guard let task else { return }
        defer {
            if groupsByPrompt, task == .sequenceClassification {
                section.record(
                    "has no place in sequence_classification, whose records have no prompts", at: "group_by_prompt")
            } else if groupsByPrompt, case .text = templates {
                section.record(
                    "goes with prompt and completion, or messages: of a text all is learned, and nothing given",
                    at: "group_by_prompt")
            }
        }
        if task == .sequenceClassification {
            readClassification(section, text: text, label: label, pattern: labelPattern)
            return
        }
        for key in Self.labelKeys where section.has(key) {
            section.record("goes with task: sequence_classification, which isn't set", at: key)
        }
        for key in ["chat_template", "loss_on"] where section.has(key) && messages == nil {
            section.record("goes with messages, which isn't set", at: key)
        }
        if let messages {
            templates = .conversation(.init(field: messages, loss: chatLoss, template: chatTemplate))
            for key in ["prompt", "completion", "text", "format", "block_size"] where section.has(key) {
                section.record("can't be used together with messages", at: key)
            }
        } else if let text {
            templates = .text(text)
            for key in ["prompt", "completion", "format"] where section.has(key) {
                section.record("can't be used together with text, on which all tokens are learned", at: key)
            }
        } else if let format {
            templates = format.templates
            for key in ["prompt", "completion"] where section.has(key) {
                section.record("stands beside format: \(format.rawValue), which says it", at: key)
            }
            if blockSize != nil {
                section.record("blocks are cut from text, not from prompts and completions", at: "block_size")
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
            section.record("missing: give prompt and completion, text, or messages", at: "prompt")
        }
        if let choices {
            do {
                templates = try templates.choosing(among: ChoiceSource(choices))
            } catch {
                section.record((error as? Problem)?.message ?? "\(error)", at: "choices")
            }
        }
        if blockSize != nil, section.has("max_length") {
            section.record("can't be used together with block_size, which is every example's length", at: "max_length")
        }
    }

    private static let chatKeys = ["messages", "chat_template", "loss_on", "format", "choices"]
    private static let labelKeys = ["label", "label_pattern", "labels", "problem_type"]

    private mutating func readClassification(
        _ section: ConfigSection, text: Template?, label: Template?, pattern: String?
    ) {
        for key in ["prompt", "completion", "block_size"] + Self.chatKeys where section.has(key) {
            section.record("has no place in sequence_classification: give text and label", at: key)
        }
        if !section.has("text") { section.record("missing: the template of what is to be classified", at: "text") }
        if !section.has("label") { section.record("missing: the template of its label", at: "label") }
        if let labels {
            if labelsAreNumbers == true {
                section.record("has no place in regression, whose labels are numbers", at: "labels")
            } else if labels.count < 2 || Set(labels).count < labels.count {
                section.record("must be two or more different labels", at: "labels")
            } else if labels.contains(where: { $0.allSatisfy(\.isWhitespace) }) {
                section.record("has an empty label", at: "labels")
            }
        }
        guard let text, let label else { return }
        do {
            templates = .labelled(text: text, label: try LabelTemplate(label, pattern: pattern))
        } catch {
            section.record((error as? Problem)?.message ?? "\(error)", at: "label_pattern")
        }
    }

    /// What the labels of the records are: what the configuration says or, where it doesn't, the labels of `paths`.
    ///
    /// Throws `Problem`s with file and line where records can't be used, and where all have the same label.
    public func labelSet(paths: [String]) throws -> LabelSet? {
        guard templates.task == .sequenceClassification else { return nil }
        if labelsAreNumbers == true { return .regression }
        if let labels { return LabelSet(names: labels) }
        let inferred = try templates.labelSet(paths: paths, areClasses: labelsAreNumbers == false)
        if let inferred, !inferred.isRegression, inferred.names.count == 1 {
            throw Problem(
                "all records have the label '\(inferred.names[0])': there is nothing to tell apart", file: paths[0])
        }
        return inferred
    }

    /// What a line of a text file is learned by.
    private static var wholeLine: Template { Template(field: "text") }

    private static func template(_ section: ConfigSection, _ key: String) -> Template? {
        do {
            return try Template(section, key)
        } catch {
            section.record((error as? Problem)?.message ?? "\(error)", at: key)
            return nil
        }
    }

    /// Throws a `Problem` with a key where the settings don't go with virtual tokens in the template.
    public func check(_ virtualTokens: VirtualTokenPlaces) throws {
        try virtualTokens.check(templates)
        if case .filled = virtualTokens, policy == .keepPromptStart || policy == .keepPromptEnd {
            throw Problem(
                "would cut virtual tokens off the prompts; use error or drop", key: "data.max_length_policy")
        }
    }

    /// The examples of `paths`, at most `lengthLimit` tokens each, which is what the model takes.
    ///
    /// - Parameter limitName: What `lengthLimit` is, for messages.
    /// - Throws: `Problem`s with file and line where records can't be used.
    public func dataset(
        paths: [String], codec: TextCodec, lengthLimit: Int?,
        limitName: String = ExampleEncoder.limitName(besideVirtualTokens: 0), labels: LabelSet? = nil,
        paddingID: Int32? = nil, chat: ChatFormat? = nil
    ) throws -> Dataset {
        try check(codec.virtualTokens)
        let length = [maximumLength, lengthLimit].compactMap { $0 }.min()
        var encoder = ExampleEncoder(templates: templates, codec: codec, maximumLength: length, policy: policy)
        encoder.labels = labels
        encoder.paddingID = paddingID
        encoder.chat = chat
        encoder.limitTargets(self)
        if let length, length != maximumLength { encoder.limitName = limitName }
        if let blockSize, let lengthLimit, blockSize > lengthLimit {
            throw Problem("\(blockSize) is more than what the model takes (\(lengthLimit))", key: "data.block_size")
        }
        if let blockSize { return try Dataset(paths: paths, blockSize: blockSize, encoder: encoder) }
        return try Dataset(paths: paths, encoder: encoder)
    }
}

extension ExampleEncoder {
    /// Takes over how long a decoder's text may be.
    public mutating func limitTargets(_ settings: DataSettings) {
        guard codec.answerOpening != nil else { return }
        maximumTargetLength = settings.maximumTargetLength ?? settings.maximumLength
        if settings.maximumTargetLength == nil { targetLimitName = "max_length" }
    }
}

extension ExampleTemplates {
    /// What the labels of the records are; nil where they have none.
    ///
    /// - Parameter areClasses: Whether numbers are names of classes too.
    /// - Throws: `Problem`s with file and line where records can't be used.
    public func labelSet(paths: [String], areClasses: Bool = false) throws -> LabelSet? {
        guard case .labelled(let text, let template) = self else { return nil }
        let records = try RecordSet(paths: paths)
        var found: Set<ByteString> = []
        // With the fields of the text, so that what is wrong with those is reported too.
        let fields = fields
        try records.forEachInParallel({ file, index in
            let label = template.label(try file.texts(of: fields, at: index)[text.fields.count...])
            if let label { try LabelSet.check(label, file, index) }
            return label
        }) { _, label in
            if let label { found.insert(ByteString(label)) }
        }
        if found.isEmpty {
            throw Problem(
                "data.label_pattern matches none of the \(records.count) records", file: records.files[0].path)
        }
        let inferred = LabelSet(inferredFrom: found.map(\.text))
        if areClasses, inferred.isRegression {
            return LabelSet(names: found.map(\.text).sorted { $0.precedesByCodePoints($1) })
        }
        return inferred
    }
}
