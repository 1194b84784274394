import Checkpoints
import JSONText
import Layers
import Models
import Tensors
import Tokenizers

/// A base model by its content: what stands in an adapter and a checkpoint of the model that they were trained on, and is
/// compared with the one that they are used on.
///
/// It takes in the configuration's fields that change a result, and of each tensor its name, its shape and rows at even
/// distances, at most `rowsPerTensor`: reading all of a large model would take longer than the rest of the start. The rows
/// are taken as they are, and rounded to 16 bits of both kinds, so that a copy of the model in another type is known.
struct ModelFingerprint: Hashable, Sendable {
    private let settings: String
    private let exact: String
    private let half: String
    private let brain: String

    private static let version = "1"
    private static let rowsPerTensor = 16

    init(_ model: any Architecture, leavingOut left: Set<String>) {
        var hashes = (ContentHash(), ContentHash(), ContentHash())
        for parameter in model.parameters.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) })
        where !left.contains(parameter.name) {
            let heading = "\(parameter.name) \(parameter.shape)"
            hashes.0.add(heading)
            hashes.1.add(heading)
            hashes.2.add(heading)
            let source = (parameter.value as? QuantizedTensor)?.source
            Self.add(source ?? parameter.value, to: &hashes)
            // The system puts neighbours of the pages that are read into memory too.
            source?.releasePages()
        }
        settings = model.computation
        (exact, half, brain) = (hashes.0.text, hashes.1.text, hashes.2.text)
    }

    private static func add(_ value: any StoredTensor, to hashes: inout (ContentHash, ContentHash, ContentHash)) {
        let (rows, columns) = (value.rowCount, value.columnCount)
        if rows == 0 || columns == 0 { return }
        let count = min(rows, rowsPerTensor)
        var row = [Float](repeating: 0, count: columns)
        var halves = [UInt16](repeating: 0, count: columns)
        for index in 0..<count {
            row.withUnsafeMutableBufferPointer { row in
                guard let base = row.baseAddress else { return }
                value.copyRow(count == 1 ? 0 : index * (rows - 1) / (count - 1), to: base)
            }
            row.withUnsafeBytes { hashes.0.add($0) }
            for i in 0..<columns { halves[i] = Float16(row[i]).bitPattern }
            halves.withUnsafeBytes { hashes.1.add($0) }
            for i in 0..<columns {
                let bits = row[i].bitPattern
                halves[i] = UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
            }
            halves.withUnsafeBytes { hashes.2.add($0) }
        }
    }

    /// `1:…:…:…:heads 12, gelu_new, …`
    var text: String { [Self.version, exact, half, brain, settings].joined(separator: ":") }

    /// Reads what `text` wrote; nil for another version's.
    init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 4, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 5, parts[0] == Self.version else { return nil }
        (exact, half, brain, settings) = (parts[1], parts[2], parts[3], parts[4])
    }

    /// What is different about another model, as the end of "… isn't that of the training: "; nil where it is the same,
    /// in whatever type.
    func difference(from other: ModelFingerprint) -> String? {
        if settings != other.settings { return "its config.json says '\(settings)', and then '\(other.settings)'" }
        // A copy may have gone through another type and back.
        let isSame = exact == other.exact || half == other.half || brain == other.brain
        return isSame ? nil : "its weights are others"
    }
}

/// A tokenizer by its content.
struct TokenizerFingerprint: Hashable, Sendable {
    private let vocabulary: String
    private let addedTokens: String

    private static let version = "1"

    init(_ tokenizer: any Tokenizer) {
        let hashes = tokenizer.contentHashes
        vocabulary = ContentHash.text(hashes.vocabulary)
        addedTokens = ContentHash.text(hashes.addedTokens)
    }

    var text: String { [Self.version, vocabulary, addedTokens].joined(separator: ":") }

    /// Reads what `text` wrote; nil for another version's.
    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, parts[0] == Self.version else { return nil }
        (vocabulary, addedTokens) = (parts[1], parts[2])
    }

    /// Whether texts have the same tokens, but for tokens that were added since.
    func hasSameVocabulary(as other: TokenizerFingerprint) -> Bool { vocabulary == other.vocabulary }
}

/// The fingerprints that an adapter's weights carry in their metadata, where libraries that don't know them pass them over.
struct AdapterFingerprints {
    var base: ModelFingerprint?
    var tokenizer: TokenizerFingerprint?

    private static let baseKey = "base_fingerprint"
    private static let tokenizerKey = "tokenizer_fingerprint"

    init(_ base: BaseModel) {
        self.base = base.fingerprint
        tokenizer = base.tokenizer.map(TokenizerFingerprint.init)
    }

    /// Those of an adapter; nothing where it was made elsewhere.
    init(_ adapter: AdapterFolder) {
        let metadata = adapter.weights.metadata
        base = metadata[Self.baseKey].flatMap(ModelFingerprint.init)
        tokenizer = metadata[Self.tokenizerKey].flatMap(TokenizerFingerprint.init)
    }

    var metadata: [String: String] {
        var metadata: [String: String] = [:]
        metadata[Self.baseKey] = base?.text
        metadata[Self.tokenizerKey] = tokenizer?.text
        return metadata
    }

    /// What is different about a base model, in a sentence; nil where it is the one that the adapter was trained on, or
    /// where that isn't known.
    func difference(from other: BaseModel) -> String? {
        if let base, let difference = other.fingerprint.difference(from: base) {
            return "the base model '\(other.folder)' isn't the one that the adapter was trained on: \(difference)"
        }
        if let tokenizer, let theirs = other.tokenizer.map(TokenizerFingerprint.init),
            !theirs.hasSameVocabulary(as: tokenizer)
        {
            return "the tokenizer in '\(other.folder)' isn't the one that the adapter was trained with"
        }
        return nil
    }
}
