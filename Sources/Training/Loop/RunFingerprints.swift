import Datasets
import Diagnostics
import Host
import JSONText
import Layers
import Synchronization
import Tensors

/// What a run's numbers depend on beside its configuration, by content: stands in its checkpoints, and must be the same
/// when it goes on.
struct RunFingerprints {
    var base: ModelFingerprint?
    var tokenizer: TokenizerFingerprint?
    var data: String?
    /// What computed the products.
    var kernels: String?

    init(_ base: BaseModel, data: String?) {
        let isRounding = base.model.modules.contains { module in
            if case .linear(let layer) = module.kind { layer.roundsProducts } else { false }
        }
        self.base = base.fingerprint
        tokenizer = base.tokenizer.map(TokenizerFingerprint.init)
        self.data = data
        kernels = Processor.productKernels + (isRounding ? ", of 16 bits" : "")
    }

    /// Reads those of a checkpoint's state; nothing where it has none.
    init(_ state: JSONNode) throws {
        base = try state.optionalString("base").flatMap(ModelFingerprint.init)
        tokenizer = try state.optionalString("tokenizer").flatMap(TokenizerFingerprint.init)
        data = try state.optionalString("data")
        kernels = try state.optionalString("kernels")
    }

    var members: [JSONValue.Member] {
        func text(_ key: String, _ value: String?) -> [JSONValue.Member] {
            value.map { [.init(key, .string($0))] } ?? []
        }
        return text("base", base?.text) + text("tokenizer", tokenizer?.text) + text("data", data)
            + text("kernels", kernels)
    }

    /// What is different from what it was when the run began, in sentences, and the option by which it may be.
    func differences(from before: RunFingerprints) -> [(text: String, change: InputChanges)] {
        var found: [(text: String, change: InputChanges)] = []
        if let old = before.base, let difference = base?.difference(from: old) {
            found.append(("the base model isn't the one with which the run began: \(difference)", .base))
        }
        if let old = before.tokenizer, let tokenizer, tokenizer != old {
            found.append(("the tokenizer isn't the one with which the run began", .base))
        }
        if let old = before.data, let data, data != old {
            found.append(
                (
                    "the training data isn't what it was when the run began: its records, or their order, are others",
                    .data
                ))
        }
        return found
    }
}

/// What the user says is another than it was when an adapter was trained or a run began, and shall be.
public struct InputChanges: OptionSet, Sendable {
    public let rawValue: Int

    public init(rawValue: Int) { self.rawValue = rawValue }

    /// The base model or its tokenizer.
    public static let base = InputChanges(rawValue: 1)
    public static let data = InputChanges(rawValue: 2)

    var option: String { self == .base ? "--other-base" : "--other-data" }
}

/// The training data's fingerprint, computed on a thread of its own while training has begun already.
final class DataFingerprint: Sendable {
    /// To be waited for; nil where that was done, or there was none.
    private let thread = Mutex<StartedThread?>(nil)
    private let result = Mutex<Result<UInt64, any Error>?>(nil)

    /// - Parameter isUrgent: Whether it is wanted at once; then all cores compute it, and the caller waits.
    init(_ dataset: Dataset, isUrgent: Bool) {
        let started =
            isUrgent
            ? nil
            : try? StartedThread { [self] in
                let found = Result { try dataset.contentHash(isParallel: false) }
                result.withLock { $0 = found }
            }
        thread.withLock { $0 = started }
        if started == nil {
            let found = Result { try dataset.contentHash(isParallel: true) }
            result.withLock { $0 = found }
        }
    }

    /// Waits for it.
    var text: String? {
        thread.withLock { thread in
            thread?.join()
            thread = nil
        }
        let value = result.withLock { try? $0?.get() }
        return value.map { "1:" + ContentHash.text($0) }
    }
}
