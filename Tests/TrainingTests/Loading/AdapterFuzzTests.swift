import Checkpoints
import Diagnostics
import FoundationEssentials
import JSONText
import Layers
import Methods
import Tensors
import TestSupport
import Testing
import Training

@Suite("Any mutated adapter", .serialized) struct AdapterFuzzTests {
    /// The environment variable FUZZ_CASES asks for more than the few that every run of the tests reads.
    private static let cases = ProcessInfo.processInfo.environment["FUZZ_CASES"].flatMap(Int.init) ?? 300

    @Test("is used, or is a problem that says where; never a crash, and never memory that the file doesn't ask for")
    func mutated() throws {
        let scratch = try Scratch()
        let base = try BaseModel.quietly(fixture("adapters/base").path())
        var mutator = AdapterMutator(seed: 2026)
        let start = try AdapterMutator.all()
        let logits = base.logits([5, 1, 90])
        var (accepted, healthy) = (0, 0)
        var messages: Set<String> = []
        let peak = peakMemory()
        for index in 0..<Self.cases {
            let adapter = mutator.next(start[index % start.count])
            try adapter.write(to: scratch)
            do {
                let folder = try AdapterFolder(path: scratch.path, warn: { _ in })
                let isTraining = index % 3 == 0
                var context = InstallationContext(seed: 0, basePath: "base", isTraining: isTraining)
                context.stepCount = 20
                let installation = try base.install(folder, context)
                accepted += 1
                #expect(base.logits([5, 1, 90]).count == logits.count)
                installation.remove()
            } catch { messages.formUnion(try texts(of: error, adapter)) }
            do {
                let diagnosis = try AdapterDiagnosis(
                    path: scratch.path, base: fixture("adapters/base").path(), warn: { _ in })
                if diagnosis.isHealthy { healthy += 1 }
                _ = (diagnosis.text, diagnosis.json.text(.compact))
            } catch { messages.formUnion(try texts(of: error, adapter)) }
            #expect(base.logits([5, 1, 90]) == logits, "\(adapter.configuration)")
        }
        #expect(accepted > Self.cases / 20 && accepted < Self.cases * 19 / 20)
        #expect(messages.count > 20)
        #expect(peakMemory() - peak < 1 << 30)
        print(
            "fuzz: \(Self.cases) adapters, \(accepted) used, \(healthy) healthy, \(messages.count) different complaints"
        )
    }

    /// The messages of an error, which must be one for users.
    private func texts(of error: any Error, _ adapter: MutatedAdapter) throws -> [String] {
        let problems = try #require(
            (error as? Problems)?.list ?? (error as? Problem).map { [$0] }, "\(error) \(adapter.configuration)")
        #expect(!problems.isEmpty)
        for problem in problems {
            #expect([.badData, .missingInput].contains(problem.exitStatus), "\(problem) \(adapter.configuration)")
        }
        return problems.map { $0.message.filter { !$0.isNumber } }
    }

    /// The largest amount of memory that the process has had, in bytes.
    private func peakMemory() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return (line.flatMap { Int($0.filter(\.isNumber)) } ?? 0) * 1024
    }
}
