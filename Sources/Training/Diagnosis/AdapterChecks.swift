import Checkpoints
import Diagnostics
import JSONText
import Layers
import Methods
import Models
import Patterns
import Tensors

/// The single looks at an adapter, each of which may leave findings.
struct AdapterChecks {
    let adapter: AdapterFolder
    private(set) var findings: [AdapterDiagnosis.Finding] = []

    init(_ adapter: AdapterFolder) { self.adapter = adapter }

    private var configuration: JSONNode { adapter.configuration }
    private var type: String { ((try? configuration.optionalString("peft_type")) ?? nil) ?? "" }
    private var isLoRA: Bool { type == "LORA" }

    mutating func find(_ kind: AdapterDiagnosis.Finding.Kind, _ key: String?, _ message: String, _ advice: String) {
        findings.append(.init(kind: kind, key: key, message: message, advice: advice))
    }

    /// What can be left as it is.
    mutating func note(_ kind: AdapterDiagnosis.Finding.Kind, _ key: String?, _ message: String, _ advice: String) {
        findings.append(.init(kind: kind, key: key, message: message, advice: advice, isNote: true))
    }

    /// `first and 5 more`
    private func more(_ keys: [String]) -> String { keys.count > 1 ? " (and \(keys.count - 1) more)" : "" }

    // MARK: What the adapter alone tells

    mutating func method() {
        if type.isEmpty {
            return find(
                .type, "peft_type", "is missing from adapter_config.json",
                "Add it, such as \"peft_type\": \"LORA\" for tensors named lora_A and lora_B.")
        }
        let known = methods.compactMap { $0.adapterType }
        if known.contains(type) { return }
        if known.contains(type.uppercased()) {
            return find(
                .type, "peft_type", "is '\(type)', but peft tells capitals from small letters",
                "Write \"\(type.uppercased())\".")
        }
        find(
            .type, "peft_type", "'\(type)' is no method that is known here",
            "Merge the adapter in peft (merge_and_unload) and use the merged model.")
    }

    /// Numbers that aren't any, and adapters that change nothing.
    mutating func values() throws {
        var broken: [(path: String, place: String)] = []
        var zeros: [String: Bool] = [:]
        for entry in adapter.entries {
            let tensor = try adapter.tensor(entry)
            if let element = try adapter.raw(entry).nonFiniteElement { broken.append((entry.path, "\(element)")) }
            zeros[entry.path] = (0..<tensor.count).allSatisfy { tensor.data[$0] == 0 }
        }
        if let first = broken.first {
            find(
                .notFinite, first.path, "holds \(first.place)\(more(broken.map(\.path)))",
                "The training diverged: go back to an earlier checkpoint, or train with a lower learning rate.")
        }
        func paths(_ ending: String) -> [String] { zeros.keys.filter { $0.hasSuffix(ending) }.sorted() }
        let pairs = paths(".lora_B.weight").filter { path in
            // A layer whose two matrices are zero carries biases for peft.
            zeros[path.dropping(".lora_B.weight") + ".lora_A.weight"] == false
        }
        let empty = pairs.filter { zeros[$0] == true }
        if !empty.isEmpty {
            let isAll = empty.count == pairs.count
            find(
                .withoutEffect, empty[0],
                isAll
                    ? "is zero, as all \(pairs.count) of the kind: the low-rank part changes nothing"
                    : "is zero, as \(empty.count) of \(pairs.count) of the kind: these layers are not changed",
                isAll
                    ? "B begins as zero, so nothing was trained or the trained tensors were not saved; train, or save again."
                    : "The layers had no gradient in training, or their tensors were not saved; leave them out of "
                        + "target_modules if that is meant.")
        }
        for (ending, words) in [
            (".hada_w2_b", "A Hadamard product"), (".lokr_w1", "A Kronecker product"), (".ia3_l", "A scaling"),
        ] {
            let found = paths(ending)
            let idle = found.filter { ending == ".ia3_l" ? isAllOnes($0) : zeros[$0] == true }
            if !found.isEmpty, idle.count == found.count {
                find(
                    .withoutEffect, found[0], "is as it begins, as all \(found.count) of the kind: nothing is changed",
                    "\(words) begins without effect, so nothing was trained or the trained tensors were not saved.")
            }
        }
    }

    /// Numbers of the base that aren't any.
    mutating func values(of base: BaseModel) throws {
        guard let weights = base.weights else { return }
        for entry in weights.tensors {
            guard let element = try weights.raw(named: entry.name).nonFiniteElement else { continue }
            return find(
                .notFinite, entry.name, "of the base model holds \(element)",
                "Nothing can be computed with it: download the base again, or go back to an earlier checkpoint.")
        }
    }

    private func isAllOnes(_ path: String) -> Bool {
        guard let entry = adapter.entry(path), let tensor = try? adapter.tensor(entry) else { return false }
        return (0..<tensor.count).allSatisfy { tensor.data[$0] == 1 }
    }

    /// The layers that have a pair of matrices, and their rank.
    private var ranks: [(path: String, rank: Int)] {
        adapter.entries.compactMap { entry in
            guard entry.path.hasSuffix(".lora_A.weight"), let rank = entry.tensor.shape.first else { return nil }
            return (entry.path.dropping(".lora_A.weight"), rank)
        }
    }

    mutating func patterns() {
        guard isLoRA else { return }
        let rank = ((try? configuration.optionalInteger("r")) ?? nil) ?? 8
        let alpha = ((try? configuration.optionalNumber("lora_alpha")) ?? nil) ?? 8
        let isStabilised = (try? configuration.boolean("use_rslora")) ?? false
        for key in ["rank_pattern", "alpha_pattern"] { overlaps(key) }
        let ranksByPattern = pattern("rank_pattern")
        for (path, found) in ranks {
            let fitting = ranksByPattern.filter { $0.pattern.matchesBeginning(of: path) }
            let expected = fitting.first.map { Int(clamping: $0.value) } ?? rank
            guard expected != found else { continue }
            let isOrder = fitting.contains { Int(clamping: $0.value) == found }
            find(
                .patterns, path + ".lora_A.weight",
                "has the rank \(found), but the settings say \(expected)",
                isOrder
                    ? "Another entry of rank_pattern gives \(found): the first that matches counts, and saving sorts them. "
                        + "Write entries that exclude each other, such as ^\(path.replacing(".", with: "\\."))$."
                    : "Set \(fitting.isEmpty ? "r" : "rank_pattern") to \(found), and lora_alpha so that alpha / r stays "
                        + "what it was in training.")
            break
        }
        if alpha == 0 {
            find(
                .scale, "lora_alpha", "is 0, so the low-rank part is multiplied by 0", "Set the alpha of the training.")
        } else if alpha < 0 {
            find(
                .scale, "lora_alpha", "is \(alpha), so the low-rank part is subtracted",
                "Set the alpha of the training.")
        }
        let scale = alpha / Double(rank).squareRoot()
        if isStabilised, scale > 16 {
            find(
                .scale, "use_rslora",
                "makes the scale alpha / √r = \(scale.rounded()), where alpha / r would be \(alpha / Double(rank))",
                "If the training used alpha / r, set use_rslora to false.")
        }
    }

    /// The values of a pattern with their expressions; those that are none are told where the adapter is used.
    private func pattern(_ key: String) -> [(key: String, pattern: Pattern, value: Double)] {
        guard let node = (try? configuration.optional(key)) ?? nil, let members = try? node.asObject() else {
            return []
        }
        // As many as can be matched with all layers in a moment.
        guard members.count * max(1, ranks.count) < 1 << 20 else { return [] }
        return members.compactMap { member in
            guard let pattern = try? Pattern(pathEnding: member.key), pattern.size < 1 << 12,
                let value = try? member.value.asNumber()
            else { return nil }
            return (member.key, pattern, value)
        }
    }

    private mutating func overlaps(_ key: String) {
        let entries = pattern(key)
        let ranks = ranks
        let dead = entries.filter { entry in !ranks.contains { entry.pattern.matchesBeginning(of: $0.path) } }
        if let first = dead.first {
            note(
                .entries, "\(key).\(first.key)", "matches no layer that has an adapter\(more(dead.map(\.key)))",
                "peft passes over such entries, and so does this tool; if one was meant to count, the training didn't see it."
            )
        }
        for (path, _) in ranks {
            let fitting = entries.filter { $0.pattern.matchesBeginning(of: path) }
            if Set(fitting.map(\.value)).count > 1 {
                let names = fitting.map { "'\($0.key)'" }.joined(separator: " and ")
                return find(
                    .patterns, key, "\(names) both match \(path) and differ",
                    "The first counts, and peft sorts them when it saves, so a reload may take another. Write entries that "
                        + "exclude each other, such as ^\(path.replacing(".", with: "\\."))$.")
            }
        }
    }

    /// Fields that aren't known here and aren't off.
    mutating func fields() {
        let unknown = adapter.unknownFields
        guard let first = unknown.first else { return }
        note(
            .fields, first, "isn't known here\(more(unknown)), and may change what the adapter computes",
            "A newer peft wrote it: compare a few outputs with peft before you rely on the adapter here.")
    }

    // MARK: What the base tells

    /// Entries of lists that mean nothing in the base; peft passes over them.
    mutating func entries(in model: any Architecture) {
        let paths = model.modules.map(\.path)
        let heads = adapter.isForClassification ? taskHeadModules : []
        for key in ["target_modules", "exclude_modules", "feedforward_modules", "modules_to_save"] {
            guard let list = (try? configuration.optional(key)) ?? nil, let nodes = try? list.asArray() else {
                continue
            }
            let names = nodes.compactMap { try? $0.asString() }
            let dead = names.filter { name in
                !paths.contains { $0 == name || $0.hasSuffix((key == "modules_to_save" ? "" : ".") + name) }
                    && !(key == "modules_to_save" && heads.contains(name)) && name != "dummy-target-modules"
            }
            guard let first = dead.first else { continue }
            note(
                .entries, key, "'\(first)' matches nothing in the base model\(more(dead))",
                "peft passes over such entries, and so does this tool.")
        }
    }

    /// The endings that adapters' own tensors have behind the path of their module, or whole names; where one ends in
    /// another, the longer first.
    private static let endings = StoredTables.endings + methods.flatMap { $0.tensorEndings }

    mutating func fingerprint(_ base: BaseModel) {
        guard let difference = AdapterFingerprints(adapter).difference(from: base) else { return }
        find(.base, nil, difference, "Give the right one with --base.")
    }

    mutating func against(_ model: any Architecture) {
        let modules = Dictionary(model.modules.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
        var parameters = Dictionary(model.parameters.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        if model.isHeadTied { parameters[model.outputLayerPath + ".weight"] = model.tokenEmbedding }
        let bottlenecks = model.joins.map { $0.adapterPath + ".adapters." }
        func isKnown(_ path: String) -> Bool {
            if Self.endings.contains(path) { return true }
            if let ending = Self.endings.first(where: { path.hasSuffix($0) }) {
                return modules[path.dropping(ending)] != nil
            }
            return parameters[path] != nil || taskHeadModules.contains(where: { path.hasPrefix($0 + ".") })
                || bottlenecks.contains(where: path.hasPrefix)
        }
        let unknown = adapter.entries.map(\.path).filter { !isKnown($0) }
        if let first = unknown.first { names(unknown, of: first, in: Swift.type(of: model).basePath, isKnown) }
        let unprefixed = adapter.entries.map(\.tensor.name).filter {
            !$0.hasPrefix("base_model.") && !Self.endings.contains($0) && !$0.contains("_adapters.adapters.")
        }
        let library = methods.first { $0.adapterType == type }?.library ?? "peft"
        if library == "peft", let first = unprefixed.first, unknown.isEmpty {
            find(
                .names, first, "doesn't begin with base_model.model.\(more(unprefixed)), and peft ignores such tensors",
                "Write the names with base_model.model. in front; until then the adapter does nothing in peft.")
        }
        shapes(modules, parameters, model)
        // A head of the task is another for each adapter.
        if let head = model.taskHead?.name { parameters[head] = nil }
        tables(parameters)
        if model.isHeadTied { tiedEmbeddings(model) }
    }

    private mutating func names(
        _ unknown: [String], of first: String, in basePath: String, _ isKnown: (String) -> Bool
    ) {
        var advice =
            "peft ignores such tensors silently. The adapter was made for another architecture; find its base model."
        if isKnown("\(basePath).\(first)") {
            advice =
                "The names lack '\(basePath).': write them as base_model.model.\(basePath).…; peft ignores these."
        } else if let tail = first.split(separator: ".", maxSplits: 1).last.map(String.init), isKnown(tail) {
            advice =
                "Without its first part the name would match: write base_model.model.\(tail); peft ignores this one."
        }
        find(.names, first, "matches nothing in the base model\(more(unknown))", advice)
    }

    private mutating func shapes(
        _ modules: [String: NamedModule], _ parameters: [String: Parameter], _ model: any Architecture
    ) {
        var transposed: [String] = []
        var foreign: [(key: String, text: String)] = []
        var vocabularies: [(key: String, count: Int)] = []
        for entry in adapter.entries {
            let (path, shape) = (entry.path, entry.tensor.shape)
            if let parameter = parameters[Self.tableName(path)], shape != parameter.shape {
                if shape.count == 2, Array(shape.reversed()) == parameter.shape {
                    transposed.append(path)
                } else if shape.count == 2, parameter.shape[0] == model.vocabularySize, shape[1] == parameter.shape[1] {
                    vocabularies.append((path, shape[0]))
                } else {
                    foreign.append((path, "has shape \(shape), and the base \(parameter.shape)"))
                }
            }
            for (ending, isFirst) in [(".lora_A.weight", true), (".lora_B.weight", false)] where path.hasSuffix(ending)
            {
                guard case .linear(let linear)? = modules[path.dropping(ending)]?.kind, shape.count == 2 else {
                    continue
                }
                let size = isFirst ? linear.inputSize : linear.outputSize
                let place = isFirst ? 1 : 0
                if shape[place] == size { continue }
                if shape[1 - place] == size {
                    transposed.append(path)
                } else if path.hasPrefix(model.outputLayerPath + "."), !isFirst {
                    vocabularies.append((path, shape[0]))
                } else {
                    foreign.append(
                        (
                            path,
                            "is for a layer of \(shape[place]) \(isFirst ? "inputs" : "outputs"), and the base's has "
                                + "\(size)"
                        ))
                }
            }
            if path.hasSuffix(".lora_embedding_A"),
                case .embedding(let table)? =
                    modules[path.dropping(".lora_embedding_A")]?.kind, shape.count == 2, shape[1] != table.entryCount
            {
                vocabularies.append((path, shape[1]))
            }
        }
        if let first = transposed.first {
            find(
                .transposed, first, "is transposed\(more(transposed))",
                "lora_A is [r, inputs] and lora_B [outputs, r], also where the base keeps its weights as [inputs, outputs]; "
                    + "a saved weight has the base's own shape. Transpose it.")
        }
        if let first = foreign.first {
            find(
                .base, first.key, first.text + more(foreign.map(\.key)),
                "The adapter was made for another model, of another size: give the right one with --base.")
        }
        if let first = vocabularies.first {
            find(
                .vocabulary, first.key, "is for \(first.count) tokens, and the base has \(model.vocabularySize)",
                "The vocabulary was changed before training: resize the base's embeddings to \(first.count) in the same "
                    + "way, or use the base that the adapter was trained on.")
        }
    }

    /// The parameter that peft stores under this name, where it stores a whole one.
    private static func tableName(_ path: String) -> String {
        [".token_adapter.base_layer", ".base_layer", ".original_module"].reduce(path) { $0.replacing($1, with: "") }
    }

    /// Tables that the adapter brings along, where most of them is another than the base's: resizing changes few rows.
    private mutating func tables(_ parameters: [String: Parameter]) {
        let trained = ((try? configuration.optional("modules_to_save")) ?? nil) != nil
        for entry in adapter.entries {
            let name = Self.tableName(entry.path)
            guard name != entry.path || !trained, let parameter = parameters[name], parameter.shape.count == 2,
                parameter.shape == entry.tensor.shape, let stored = try? adapter.tensor(entry)
            else { continue }
            let (own, width) = (parameter.tensor, stored.columnCount)
            let changed = (0..<stored.rowCount).count { row in
                var (difference, largest): (Float, Float) = (0, 0)
                for i in row * width..<(row + 1) * width {
                    difference = max(difference, (stored.data[i] - own.data[i]).magnitude)
                    largest = max(largest, own.data[i].magnitude)
                }
                // As far as halves round.
                return difference > 1e-2 * largest
            }
            guard changed * 2 > stored.rowCount else { continue }
            return find(
                .base, entry.path, "differs from the base's own table in \(changed) of \(stored.rowCount) rows",
                "The file's table takes the place of the base's, in peft as here; but so many changes mean that the "
                    + "adapter was made for another model: give the right one with --base.")
        }
    }

    private mutating func tiedEmbeddings(_ model: any Architecture) {
        let paths = adapter.entries.map(\.path)
        let head = paths.first {
            $0.hasPrefix(model.outputLayerPath + ".") && Self.endings.contains(where: $0.hasSuffix)
                && ![".base_layer.", ".original_module.", ".modules_to_save.", ".token_adapter."].contains(
                    where: $0.contains)
        }
        let embedding = paths.first {
            $0.contains(".lora_embedding_") && $0.hasPrefix(Swift.type(of: model).tokenTablePath + ".")
        }
        let advice =
            "peft's merge_and_unload changes both where the training changed one. Merge with 'peft merge', which gives the "
            + "output layer a weight of its own, or use the adapter unmerged."
        if let head {
            find(.tiedEmbeddings, head, "adapts the output layer, whose weight is also the token embedding", advice)
        }
        if let embedding {
            find(
                .tiedEmbeddings, embedding, "adapts the token embedding, whose weight is also the output layer", advice)
        }
        if (try? configuration.boolean("ensure_weight_tying")) == true {
            find(
                .tiedEmbeddings, "ensure_weight_tying", "is on, and peft 0.21 doesn't load its own files of that kind",
                "Merge the adapter in the session that trained it.")
        }
    }

    /// Whatever else keeps the adapter from being used.
    mutating func use(on base: BaseModel) {
        func record(_ problem: Problem) {
            find(
                problem.key?.contains(".") == true && problem.message.hasPrefix("is missing") ? .missing : .settings,
                problem.key, problem.message, "Nobody can use the adapter as it is on this base.")
        }
        do {
            let context = InstallationContext(seed: 0, basePath: base.folder, isTraining: false)
            try base.install(adapter, context).remove()
        } catch let problems as Problems {
            for problem in problems.list.prefix(5) { record(problem) }
        } catch let problem as Problem {
            record(problem)
        } catch {
            find(.settings, nil, "\(error)", "Nobody can use the adapter as it is on this base.")
        }
    }
}

extension String {
    fileprivate func dropping(_ ending: String) -> String { hasSuffix(ending) ? String(dropLast(ending.count)) : self }
}
