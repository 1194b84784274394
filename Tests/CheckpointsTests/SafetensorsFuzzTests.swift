import Checkpoints
import Diagnostics
import FoundationEssentials
import Tensors
import Testing

@Suite("Any mutated safetensors file") struct SafetensorsFuzzTests {
    /// The environment variable FUZZ_CASES asks for more than the few that every run of the tests reads.
    private static let cases = ProcessInfo.processInfo.environment["FUZZ_CASES"].flatMap(Int.init) ?? 600

    @Test("is read, or is a problem that names the file; never a crash")
    func mutated() throws {
        var mutator = SafetensorsMutator(seed: 2026)
        var (accepted, tensorCount, elementCount) = (0, 0, 0)
        var messages: Set<String> = []
        for index in 0..<Self.cases {
            let bytes = mutator.nextFile(index)
            do {
                let file = try SafetensorsFile(bytes: bytes, path: "x") { _ in }
                accepted += 1
                for tensor in file.tensors {
                    tensorCount += 1
                    elementCount += readAll(try file.raw(named: tensor.name))
                }
            } catch let problem as Problem {
                #expect(problem.file == "x" && problem.exitStatus == .badData)
                messages.insert(problem.message.filter { !$0.isNumber })
            }
        }
        // A mutator whose files are all refused at the same place would prove nothing.
        #expect(accepted > Self.cases / 20 && accepted < Self.cases / 2)
        #expect(messages.count > 40)
        print(
            "fuzz: \(Self.cases) files, \(accepted) read (\(tensorCount) tensors, \(elementCount) elements), "
                + "\(messages.count) different complaints")
    }

    /// Touches each element by every way of reading that the type allows.
    private func readAll(_ tensor: RawTensor) -> Int {
        var count = 0
        if let doubles = try? tensor.doubles() { count = doubles.count }
        if let integers = try? tensor.integers() { count = integers.count }
        if let floats = try? tensor.tensor() { count = floats.values.count }
        _ = tensor.bytes.reduce(0, ^)
        return count
    }
}
