public import Checkpoints
import Configuration
public import Datasets
import Diagnostics
import Files
import JSONText
import Layers
import Models

/// The labels that a model, an adapter or a run has.
enum TaskLabels {
    /// Those of a model folder; nil where it holds a language model.
    static func of(
        _ configuration: ConfigSection, _ architecture: any Architecture.Type, weights: ModelWeights?
    ) throws -> LabelSet? {
        let classes = configuration.optionalStrings("architectures") ?? []
        let named = configuration.section("id2label")
        let problemType = configuration.optionalString("problem_type")
        guard classes.contains(architecture.classifierClass) else { return nil }
        // transformers leaves the names out of the file where there are two without any.
        let count = weights?.entry(named: "score.weight")?.shape.first ?? (named.keys.isEmpty ? 2 : named.keys.count)
        if problemType == LabelSet.regression.problemType || count == 1 { return .regression }
        if problemType == "multi_label_classification" {
            configuration.record("isn't supported: a text has one label here", at: "problem_type")
        }
        let names = (0..<count).map { named.optionalString("\($0)") }
        try configuration.throwProblems()
        if names.contains(nil) { return .unnamed(count) }
        return LabelSet(names: names.compactMap { $0 })
    }

    /// Those of a model, or an adapter, that already has a head for a task, for data with the labels `data`.
    static func matched(_ data: LabelSet, to model: LabelSet, folder: String) throws -> LabelSet {
        func problem(_ message: String) -> Problem { Problem(message, file: folder, key: "data.label") }
        if data.isRegression != model.isRegression {
            throw problem(
                model.isRegression
                    ? "the model gives a number, but the data has the labels \(data.list)"
                    : "the model tells the labels \(model.list), but those of the data are numbers")
        }
        if model.isUnnamed {
            if data.names.count == model.names.count { return data }
            // Numbers are those of the classes, of which the data needn't have all.
            if data.names.allSatisfy({ LabelSet.wholeNumber($0) != nil && model.number(of: $0) != nil }) {
                return LabelSet(names: model.names.indices.map { "\($0)" })
            }
            throw problem(
                "the model has \(model.names.count) labels without names, and the data \(data.names.count): "
                    + "\(data.list); name the model's in their order with data.labels")
        }
        // As of an adapter whose files name none.
        if data.isUnnamed, data.names.count == model.names.count { return model }
        if let other = data.names.first(where: { model.number(of: $0) == nil }) {
            throw problem("the model doesn't know the label '\(other)' of the data; it tells \(model.list)")
        }
        return model
    }

    /// Members of a `config.json` that make it that of a model with these labels.
    static func configuration(_ base: BaseModel) -> [JSONValue.Member] {
        guard let labels = base.labels else { return [] }
        let names = labels.isRegression ? ["LABEL_0"] : labels.names
        let padding: [JSONValue.Member] =
            base.paddingID.map { [.init("pad_token_id", .integer(Int($0)))] } ?? []
        return [
            .init("architectures", [.string(base.model.transformersClass)]),
            .init("id2label", .object(names.enumerated().map { .init("\($0.offset)", .string($0.element)) })),
            .init("label2id", .object(names.enumerated().map { .init($0.element, .integer($0.offset)) })),
            .init("problem_type", .string(labels.problemType)),
        ] + padding
    }
}

extension LabelSet {
    /// What an adapter for sequence classification tells, its labels' names from the run that made it or from its own
    /// files; nil for one that goes on with texts.
    ///
    /// Throws a `Problem` for an adapter that says it is for sequence classification and has no head.
    public init?(of adapter: AdapterFolder) throws {
        guard adapter.isForClassification else { return nil }
        guard let count = adapter.entry("score.weight")?.tensor.shape.first else {
            throw Problem(
                "is missing, though the adapter is for sequence classification (task_type, or auto_mapping without one)",
                file: adapter.weights.path, key: "score.weight")
        }
        // A checkpoint lies two levels below the run's configuration.
        let folders = [adapter.path, FileSystem.join(adapter.path, "../..")]
        let files = folders.map { FileSystem.join($0, RunFolder.configurationName) }
        if let file = files.first(where: FileSystem.isFile) {
            let data = try ConfigDocument.load(yamlFile: file).root.section("data")
            if data.optionalString("problem_type") == LabelSet.regression.problemType { self = .regression; return }
            if let names = data.optionalStrings("labels"), names.count == count {
                self.init(names: names)
                return
            }
        }
        // AdapterHub stores them.
        let numbers = try adapter.configuration.optionalObject("label2id") ?? []
        let names = try Dictionary(
            numbers.map { (try $0.value.asInteger(), $0.key) }, uniquingKeysWith: { first, _ in first })
        let ordered = (0..<count).compactMap { names[$0] }
        self = count == 1 ? .regression : ordered.count == count ? LabelSet(names: ordered) : .unnamed(count)
    }
}
