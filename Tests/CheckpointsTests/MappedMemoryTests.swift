import Checkpoints
import Files
import JSONText
import Tensors
import TestSupport
import Testing

@Suite("A weight in a mapped file") struct MappedMemoryTests {
    @Test("gives its pages back, and has the same values when it is read again")
    func pagesComeBack() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("weights.safetensors")
        let numbers = (0..<(1 << 19)).map { Float($0) }
        let small = Tensor([1, 2, 3], shape: [3])
        try SafetensorsWriter.write(
            [
                OutgoingTensor("before", small, as: .float32),
                OutgoingTensor("weight", Tensor(numbers, shape: [512, 1024]), as: .float32),
                OutgoingTensor("behind", small, as: .float32),
            ], to: path)
        let file = try SafetensorsFile(path: path, warn: noWarnings)
        let weight = try file.raw(named: "weight").stored()
        #expect(weight.floats.values == numbers)
        let resident = try residentKilobytes(path)
        #expect(resident >= 2048)

        weight.releasePages()

        // The first and the last page belong to others too.
        #expect(try residentKilobytes(path) <= resident - 2048 + 16)
        #expect(weight.floats.values == numbers)
        #expect(try file.tensor(named: "before").values == [1, 2, 3])
        #expect(try file.tensor(named: "behind").values == [1, 2, 3])
    }

    @Test("that was read into memory keeps its values")
    func memoryStays() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("weights.safetensors")
        try SafetensorsWriter.write(
            [OutgoingTensor("weight", Tensor([1, 2, 3, 4], shape: [2, 2]), as: .float32)], to: path)
        let weight = try SafetensorsFile(path: path, warn: noWarnings).raw(named: "weight").stored()
        weight.releasePages()
        #expect(weight.floats.values == [1, 2, 3, 4])
    }

    /// What the process has in memory of a file that it maps.
    private func residentKilobytes(_ path: String) throws -> Int {
        let maps = try FileBytes(path: "/proc/self/smaps").withBytes { String(decoding: $0, as: UTF8.self) }
        let lines = maps.split(separator: "\n")
        let start = try #require(lines.firstIndex { $0.hasSuffix(path) })
        let line = try #require(lines[start...].first { $0.hasPrefix("Rss:") })
        return try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) })
    }
}
