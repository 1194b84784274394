import Checkpoints
import Datasets
public import Diagnostics
public import JSONText
import Layers
import Methods
import Models
import Tensors

/// What is wrong with an adapter, in words, and what to do about it.
///
/// The loaders of others let most of this pass: peft ignores names that it doesn't know and leaves at random what is
/// missing.
public struct AdapterDiagnosis {
    public struct Finding: Sendable, Hashable {
        public enum Kind: String, Sendable {
            /// `peft_type` is missing or unknown.
            case type
            /// The names match no module of the base, or another library's loader skips them.
            case names
            case missing, transposed, shape
            /// The base is another model than the one that the adapter was trained on.
            case base
            case vocabulary
            case notFinite = "not_finite"
            /// The adapter changes nothing.
            case withoutEffect = "without_effect"
            case tiedEmbeddings = "tied_embeddings"
            case patterns, scale, targets
            /// Entries of the configuration that mean nothing in the base, and fields that aren't known.
            case entries, fields
            /// Anything else that keeps it from being used.
            case settings
        }

        public let kind: Kind
        /// The tensor or setting that it is about, the first of several.
        public let key: String?
        public let message: String
        public let advice: String
        /// Whether the adapter can be used as it is all the same.
        public var isNote = false
    }

    public let path: String
    public let type: String?
    /// The base that it was compared with; nil where none was at hand.
    public let base: String?
    public let tensorCount: Int
    /// How the base's folder keeps its weights in fewer bits, `nf4, double`, and the bits of each parameter; nil where it
    /// doesn't.
    public let baseQuantization: (kind: String, weights: Int, bits: Double)?
    /// How the base was kept while the adapter was trained, as its run says.
    public let trainedQuantization: String?
    public private(set) var findings: [Finding] = []

    /// Whether nothing stands in the way of using the adapter.
    public var isHealthy: Bool { findings.allSatisfy(\.isNote) }

    /// Looks at an adapter, and at its base where there is one: the one given, or the one that the adapter names if it
    /// lies here.
    ///
    /// - Throws: `Problem` or `Problems` where there is no adapter, its files can't be read at all, or the given base
    ///   can't be loaded.
    public init(path: String, base given: String?, warn: WarningSink) throws {
        let adapter = try AdapterFolder(path: path, warn: warn)
        self.path = adapter.path
        type = (try? adapter.configuration.optionalString("peft_type")) ?? nil
        tensorCount = adapter.entries.count
        let named = try adapter.baseModel()
        let known = given ?? named.flatMap { name in (try? HubCache.resolve(name)) != nil ? name : nil }
        let labels = (try? LabelSet(of: adapter)) ?? nil
        let loaded = try known.map {
            try BaseModel.load($0, randomSeed: nil, labels: labels, headSeed: 0, quantization: nil, warn: warn)
        }
        base = known
        trainedQuantization = (try? adapter.trainedQuantization()).flatMap { $0?.description }
        let entries = try loaded?.weights.map { try QuantizedEntry.all(in: $0.shards) } ?? []
        baseQuantization = loaded?.storedQuantization.map { kind in
            let (bytes, count) = (entries.reduce(0) { $0 + $1.byteCount }, entries.reduce(0) { $0 + $1.count })
            return (kind, entries.count, 8 * Double(bytes) / Double(max(1, count)))
        }
        var checks = AdapterChecks(adapter)
        try checks.values()
        checks.method()
        checks.fields()
        checks.patterns()
        if let loaded {
            try checks.values(of: loaded)
            checks.fingerprint(loaded)
            checks.entries(in: loaded.model)
            checks.against(loaded.model)
            if checks.findings.allSatisfy(\.isNote) { checks.use(on: loaded) }
        }
        findings = checks.findings
    }

    public var json: JSONValue {
        [
            "adapter": .string(path), "peft_type": type.map(JSONValue.string) ?? nil,
            "base": base.map(JSONValue.string) ?? nil, "tensor_count": .integer(tensorCount),
            "base_quantization": baseQuantization.map {
                [
                    "kind": .string($0.kind), "weights": .integer($0.weights),
                    "bits_per_parameter": .number($0.bits),
                ]
            } ?? nil, "trained_quantization": trainedQuantization.map(JSONValue.string) ?? nil,
            "healthy": .boolean(isHealthy),
            "findings": .array(
                findings.map {
                    [
                        "kind": .string($0.kind.rawValue), "key": $0.key.map(JSONValue.string) ?? nil,
                        "message": .string($0.message), "advice": .string($0.advice),
                        "note": .boolean($0.isNote),
                    ]
                }),
        ]
    }

    /// A line for each finding, and below it what to do.
    public var text: String {
        let name = "\(path)\(type.map { " (\($0))" } ?? "")"
        let kept = baseQuantization.map {
            let thousandths = Int((1000 * $0.bits).rounded())
            let digits = String(thousandths % 1000 + 1000).dropFirst()
            return
                ", of which \($0.weights) weights are in \($0.kind), \(thousandths / 1000).\(digits) bits a parameter"
        }
        let trained = trainedQuantization.map { ", trained with its weights in \($0)" }
        let comparison =
            base.map { "on \($0)\(kept ?? trained ?? "")" }
            ?? "without its base model, which isn't here: give --base to compare"
        let problems = findings.count { !$0.isNote }
        let count = isHealthy ? "healthy" : problems == 1 ? "1 finding" : "\(problems) findings"
        let sorted = findings.filter { !$0.isNote } + findings.filter(\.isNote)
        return
            (["\(count): \(name), \(tensorCount) tensors, \(comparison)"]
            + sorted.map { finding in
                "- \(finding.isNote ? "note: " : "")\(finding.key.map { $0 + ": " } ?? "")\(finding.message)\n"
                    + "  \(finding.advice)"
            }).joined(separator: "\n")
    }
}
