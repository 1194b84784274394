import Datasets
import Diagnostics
import Files
import Host
import JSONText
import Methods
import Ranks
import Tensors

/// What ranks that train together must have in common.
extension Trainer {
    /// Whether all ranks were given the same, so that they know of one run.
    ///
    /// - Throws: `Problem` on the first rank, which names what is another somewhere.
    func requireSameInputs(_ data: DataFingerprint) throws {
        guard let ranks else { return }
        let prints = RunFingerprints(base, data: data.text)
        func hash(_ text: String?) -> UInt64 {
            var hash = ContentHash()
            hash.add(text ?? "")
            return hash.value
        }
        // Beside what a run's fingerprints tell, what each rank made of the settings and the files.
        let counts = [batches.dataset, validation].map { "\(String(describing: $0?.counts)) \($0?.count ?? 0)" }
        try requireSame(
            [
                ("configuration", hash(resolvedYAML)), ("base model", hash(prints.base?.text)),
                ("tokenizer", hash(prints.tokenizer?.text)), ("training data", hash((prints.data ?? "") + counts[0])),
                ("validation data", hash(counts[1])), ("parameters to begin with", parameterHash),
            ],
            in: ranks
        ) { name, other in
            "\(name) of \(other) isn't that of \(ranks.name(of: 0)): all processes must be given the same files"
        }
    }

    /// Ranks that went apart, as processors of different kinds may, must not go on unnoticed.
    func requireSameParameters(after step: Int) throws {
        guard let ranks else { return }
        try requireSame([("parameters", parameterHash)], in: ranks) { name, other in
            "after step \(step) the \(name) of \(other) aren't those of \(ranks.name(of: 0)): the processes have computed "
                + "different bits from the same gradients; run them on processors of one kind, all with the same program"
        }
    }

    private var parameterHash: UInt64 {
        var hash = ContentHash()
        for parameter in installation.trainable {
            let value = parameter.value
            withExtendedLifetime(value) {
                hash.add(UnsafeRawBufferPointer(start: value.data, count: value.count * MemoryLayout<Float>.stride))
            }
        }
        return hash.value
    }

    private func requireSame(
        _ facts: [(name: String, hash: UInt64)], in ranks: Communicator, _ message: (String, String) -> String
    ) throws {
        let all = ranks.gather(facts.map(\.hash))
        try ranks.agree {
            guard ranks.isFirst else { return }
            for (index, fact) in facts.enumerated() {
                if let other = all.firstIndex(where: { $0[index] != all[0][index] }) {
                    throw Problem(message(fact.name, ranks.name(of: other)))
                }
            }
        }
    }

    /// Whether this rank sees the checkpoint that the first one goes on from.
    func requireReachable(_ checkpoint: String) throws {
        guard let ranks, !FileSystem.isFolder(checkpoint) else { return }
        throw Problem(
            "isn't there for \(ranks.name(of: ranks.rank)), though \(ranks.name(of: 0)) goes on from it: training.output_dir "
                + "must lie where all machines have the same files", file: checkpoint, exitStatus: .missingInput)
    }

    func processes(_ count: Int) -> String { count == 1 ? "1 process" : "\(count) processes" }
}
