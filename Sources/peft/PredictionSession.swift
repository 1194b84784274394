import Checkpoints
import Configuration
import Datasets
import Diagnostics
import JSONText
import Layers
import Methods
import Models
import Tokenizers
import Training

/// Tells the labels of records with classifiers, and prints them.
struct PredictionSession {
    /// A model that tells labels.
    private struct Classifier {
        /// As the user gave it.
        let label: String
        let base: BaseModel
        /// What keeps the adapter in the model.
        let installation: (any Installation)?
        let labels: LabelSet
        /// nil for records that are a text already.
        let template: Template?
        let encoder: ExampleEncoder
    }

    private let classifiers: [Classifier]
    private(set) var failureCount = 0
    /// The texts that were too long and were cut as in training.
    private(set) var cutCount = 0

    /// - Parameter template: What texts are made of; nil for each classifier's own of its training.
    init(_ selection: ModelSelection, template: Template?) throws {
        classifiers = try selection.variants.map { variant in
            let adapter = try variant.adapter.map { try AdapterFolder(path: $0, warn: Console.report) }
            let base = try BaseModel.load(
                variant, labels: adapter.flatMap { try LabelSet(of: $0) },
                isNamedByAdapter: selection.isBaseNamedByAdapter)
            let path = variant.label ?? variant.base
            guard let labels = base.labels else {
                throw Problem(
                    "goes on with texts and has no labels to tell; 'peft generate --data FILE' writes a text for each "
                        + "record", file: path)
            }
            let names = variant.document?.root.section("data").optionalStrings("labels")
            let settings = try variant.document.map(EvaluationData.settings)
            var own: Template?
            if case .labelled(let text, _) = settings?.templates { own = text }
            let installation = try adapter.map {
                try base.install($0, InstallationContext(seed: 0, basePath: base.folder, isTraining: false))
            }
            let form = template ?? own
            return Classifier(
                label: path, base: base, installation: installation, labels: try labels.named(names, folder: path),
                template: form,
                encoder: try Self.encoder(for: base, settings, form))
        }
    }

    private static func encoder(
        for base: BaseModel, _ settings: DataSettings?, _ template: Template?
    ) throws -> ExampleEncoder {
        let limit = base.model.maximumLength
        let length = min(settings?.maximumLength ?? limit, limit)
        var encoder = ExampleEncoder(
            templates: .text(try template ?? Template("{text}")), codec: try base.codec(), maximumLength: length,
            policy: settings?.policy ?? .error)
        if length != settings?.maximumLength {
            encoder.limitName = ExampleEncoder.limitName(besideVirtualTokens: base.model.prompt?.positionOffset ?? 0)
        }
        encoder.paddingID = base.paddingID
        let text = try template ?? Template("{text}")
        try encoder.codec.virtualTokens.check(.labelled(text: text, label: LabelTemplate(text, pattern: nil)))
        return encoder
    }

    /// Prints the labels of records in order, each by all classifiers.
    mutating func run(_ records: [RecordInput.Item], json: Bool) throws {
        var answers: [[Result<ToldLabel, Problem>]] = []
        for classifier in classifiers {
            var own: [Result<ToldLabel, Problem>] = []
            var texts: [[Int32]] = []
            var places: [Int] = []
            for (index, record) in records.enumerated() {
                do {
                    let (tokens, isCut) = try tokens(record.get(), classifier)
                    texts.append(tokens)
                    if isCut { cutCount += 1 }
                    places.append(index)
                    own.append(.success(.number(.nan)))
                } catch {
                    own.append(.failure(error as? Problem ?? Problem("\(error)")))
                }
            }
            // Only a single classifier's answers are next in the order as they come.
            var printed = 0
            try tellLabels(of: texts, by: classifier.base) { index, answer in
                own[places[index]] = .success(answer)
                guard classifiers.count == 1 else { return }
                while printed <= places[index] {
                    try show(own[printed], of: records[printed], by: classifier, json: json)
                    printed += 1
                }
            }
            if classifiers.count == 1 {
                for index in printed..<records.count {
                    try show(own[index], of: records[index], by: classifier, json: json)
                }
            }
            answers.append(own)
        }
        if classifiers.count == 1 { return }
        for (index, record) in records.enumerated() {
            for (classifier, own) in zip(classifiers, answers) {
                try show(own[index], of: record, by: classifier, json: json)
            }
        }
    }

    private func tokens(_ record: Record, _ classifier: Classifier) throws -> (tokens: [Int32], isCut: Bool) {
        guard let template = classifier.template ?? record.wholeTextTemplate else {
            throw record.problem(
                "no template says how texts are made of the records: give --text, or the run's configuration with --config"
            )
        }
        return try classifier.encoder.textTokens(record, in: template)
    }

    private mutating func show(
        _ answer: Result<ToldLabel, Problem>, of record: RecordInput.Item, by classifier: Classifier, json: Bool
    ) throws {
        var members: [JSONValue.Member] = []
        if classifiers.count > 1 { members.append(.init("adapter", .string(classifier.label))) }
        var text = ""
        switch answer {
        case .success(.number(let value)):
            text = shortestText(of: value)
            members.append(.init("prediction", .number(value)))
        case .success(.classes(let probabilities)):
            let names = classifier.labels.names
            let best = probabilities.indices.max { probabilities[$0] < probabilities[$1] } ?? 0
            text = names[best] + "\t" + probabilities[best].text(decimals: 4)
            members.append(.init("label", .string(names[best])))
            members.append(
                .init("probabilities", .object(zip(names, probabilities).map { .init($0, .number($1)) })))
        case .failure(let problem):
            failureCount += 1
            Console.report(problem)
            members.append(.init("error", .string(problem.message)))
        }
        if !json {
            Console.line((classifiers.count > 1 ? "\(classifier.label): " : "") + text)
        } else if case .success(let record) = record {
            Console.line(try record.json(adding: members))
        } else {
            Console.line(JSONValue.object(members).text(.compact))
        }
    }
}
