import Configuration
import Diagnostics
import JSONText
import Layers
import Methods
import Models
import Tensors

/// An adapter that was made of several.
struct CombinedAdapter {
    let modules: [(module: CombinedModule, result: CombinedModule.Result)]
    let notes: [String]
    private let gathered: GatheredAdapters

    /// - Throws: `Problem` for ranks that don't go with the type.
    init(
        _ gathered: GatheredAdapters, _ settings: CombinationSettings,
        keeps: @escaping @Sendable (Int, String) -> () -> Bool
    ) throws {
        self.gathered = gathered
        let modules = gathered.modules
        if settings.type != .cat, !settings.type.combinesChanges {
            for module in modules {
                guard let (first, other) = module.unequalRanks else { continue }
                throw Problem(
                    "has rank \(other.change.a.rowCount) at \(module.path), and '\(gathered.paths[first.adapter])' rank "
                        + "\(first.change.a.rowCount): \(settings.type.rawValue) combines the matrices themselves, which "
                        + "must be of one size; cat takes any ranks, as do the types that end in svd",
                    file: gathered.paths[other.adapter])
            }
        }
        let hasBias = modules.contains { module in module.parts.contains { $0.change.bias != nil } }
        if hasBias, let embedding = modules.first(where: \.isEmbedding) {
            throw Problem(
                "adapts \(embedding.path), and another adapter's B has a bias (lora_bias), which embeddings can't have: they "
                    + "can't be combined", file: gathered.paths[embedding.parts[0].adapter])
        }
        let arithmetic = TaskArithmetic(
            type: settings.type, density: settings.density, majoritySign: settings.majoritySign)
        let rank = settings.rank ?? modules.flatMap { $0.parts.map(\.change.a.rowCount) }.max() ?? 1
        nonisolated(unsafe) let work = modules
        let results = parallelMap(modules.count) { index in
            let module = work[index]
            return module.combined(arithmetic, rank: rank) { keeps($0, "\(module.path).\($1)") }
        }
        self.modules = Array(zip(modules, results))
        var notes: [String] = []
        if gathered.areRankStabilised {
            notes.append(
                "An adapter has use_rslora: the result has its scale in A and B; peft 0.21 would scale it once more, by the "
                    + "root of the rank.")
        }
        if hasBias {
            notes.append(
                "An adapter has lora_bias: the result's is the weighted sum; peft 0.21 would leave it out.")
        }
        if !gathered.saved.isEmpty {
            notes.append(
                "Modules of modules_to_save are taken whole, whatever the weights are, from "
                    + gathered.saverPaths.map { "'\($0)'" }.joined(separator: ", ")
                    + "; peft 0.21 would leave them out.")
        }
        self.notes = notes
    }

    /// Puts it into the base.
    func install(into base: BaseModel, _ settings: CombinationSettings) throws -> any Installation {
        let ranks = modules.map { $0.result.a.rowCount }
        var counts: [Int: Int] = [:]
        for rank in ranks { counts[rank, default: 0] += 1 }
        let most = counts.values.max()
        let rank = ranks.first { counts[$0] == most } ?? 1
        // Alpha and rank are equal, so that nothing is scaled.
        let others = modules.filter { $0.result.a.rowCount != rank }.map { module, result in
            JSONValue.Member("^" + module.path.replacing(".", with: "\\."), .integer(result.a.rowCount))
        }
        var wholes: [String] = []
        for (name, _) in gathered.saved {
            let path = String(name[..<(name.lastIndex(of: ".") ?? name.endIndex)])
            if !wholes.contains(path) { wholes.append(path) }
        }
        let hasBias = modules.contains { $0.result.bias != nil }
        let configuration = JSONValue.object([
            .init("peft_type", "LORA"), .init("r", .integer(rank)), .init("lora_alpha", .integer(rank)),
            .init("rank_pattern", .object(others)), .init("alpha_pattern", .object(others)),
            .init("target_modules", .array(modules.map { .string($0.module.path) })),
            .init("lora_dropout", .number(Double(gathered.dropout.description) ?? 0)),
            .init("lora_bias", .boolean(hasBias)),
            .init("modules_to_save", wholes.isEmpty ? nil : .array(wholes.map(JSONValue.string))),
        ])
        let method = try LoRA(
            ConfigDocument(json: JSONNode.parse(configuration.text(.compact))).root, startingFrom: nil)
        let installation = try method.install(
            into: base.model,
            InstallationContext(seed: 0, basePath: absolutePath(ofModel: settings.base), isTraining: false))
        var contents = Dictionary(gathered.saved, uniquingKeysWith: { first, _ in first })
        for (module, result) in modules {
            let infix = module.isEmbedding ? ".lora_embedding_" : ".lora_"
            let ending = module.isEmbedding ? "" : ".weight"
            contents[module.path + infix + "A" + ending] = result.a
            contents[module.path + infix + "B" + ending] = result.b
            if hasBias {
                contents[module.path + ".lora_B.bias"] =
                    result.bias ?? Tensor(zeros: [result.b.rowCount])
            }
        }
        try installation.load(contents, file: settings.output)
        return installation
    }
}
