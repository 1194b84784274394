import Checkpoints
import Diagnostics
import Files
import Tensors
import TestSupport
import Testing

@Suite("Written safetensors files") struct SafetensorsWriterTests {
    @Test("are Python's byte for byte, whatever the types and the order in which the tensors come")
    func everyType() throws {
        let path = fixturePath("safetensors/every-type.safetensors")
        let file = try SafetensorsFile(path: path, warn: noWarnings)
        for order in [file.tensors, file.tensors.reversed()] {
            let tensors = try order.map { OutgoingTensor($0.name, try file.raw(named: $0.name)) }
            #expect(try SafetensorsWriter.bytes(tensors) == content(path))
        }
    }

    @Test("round floats to both halves as torch does")
    func rounding() throws {
        let path = fixturePath("safetensors/rounded.safetensors")
        let floats = try SafetensorsFile(path: fixturePath("safetensors/floats.safetensors"), warn: noWarnings)
        let half = try floats.tensor(named: "half")
        let tensors = [
            OutgoingTensor("a", Tensor(half.values.prefix(5), shape: [5]), as: .float32),
            OutgoingTensor("Z", Tensor(zeros: [2, 0]), as: .float32),
            OutgoingTensor("half", half, as: .float16),
            OutgoingTensor("bfloat", shape: try #require(floats.entry(named: "bfloat")?.shape), as: .bfloat16) {
                try floats.tensor(named: "bfloat")
            },
        ]
        #expect(try SafetensorsWriter.bytes(tensors) == content(path))
        let folder = try TemporaryFolder()
        try SafetensorsWriter.write(tensors, to: folder.file("again.safetensors"))
        #expect(try content(folder.file("again.safetensors")) == content(path))
        #expect(try FileSystem.names(in: folder.path) == ["again.safetensors"])
    }

    @Test("may hold nothing, or metadata alone")
    func empty() throws {
        #expect(try SafetensorsWriter.bytes([], metadata: [:]) == safetensors("{}      "))
        #expect(
            try SafetensorsWriter.bytes([], metadata: ["b": "é\u{1}", "a": "\n"])
                == safetensors(#"{"__metadata__":{"a":"\n","b":"é\u0001"}}      "#))
        #expect(try SafetensorsFile(bytes: SafetensorsWriter.bytes([]), path: "x", warn: noWarnings).tensors.isEmpty)
    }

    @Test("don't appear where computing a tensor fails, and an older file stays")
    func failure() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("old", to: "w.safetensors")
        let failing = OutgoingTensor("w", shape: [2], as: .float32) { throw Problem("no value") }
        #expect(complaint { try SafetensorsWriter.write([failing], to: path) } == "error: no value")
        #expect(try FileSystem.text(of: path) == "old")
        #expect(try FileSystem.names(in: folder.path) == ["w.safetensors"])
    }
}
