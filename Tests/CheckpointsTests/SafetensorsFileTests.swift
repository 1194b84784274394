import Checkpoints
import Diagnostics
import JSONText
import Tensors
import TestSupport
import Testing

@Suite("A safetensors file") struct SafetensorsFileTests {
    private let everyType = fixturePath("safetensors/every-type.safetensors")

    @Test("has the values of every type that Python stores")
    func everyTypeReads() throws {
        let file = try SafetensorsFile(path: everyType, warn: noWarnings)
        #expect(file.metadata == ["format": "pt"])
        let members = try JSONNode.load(path: fixturePath("safetensors/every-type.json")).asObject()
        #expect(members.count == file.tensors.count - 1)
        for member in members {
            let raw = try file.raw(named: member.key)
            let expected = try member.value.asArray().map { node in
                if case .string(let text) = node.content { return try #require(Double(text)) }
                return try node.asNumber()
            }
            #expect(bits(try raw.doubles()) == bits(expected), "\(member.key)")
            if raw.elementType.isFloatingPoint {
                #expect(bits(try raw.tensor().values) == bits(expected.map { Float($0) }), "\(member.key)")
            }
        }
        #expect(try file.raw(named: "int64").integers() == [.min, -1, 0, (1 << 53) + 1, .max])
        #expect(try file.raw(named: "bool").integers() == [0, 1, 1])
    }

    @Test("lists scalars, empty tensors, odd names, and where the bytes of each stand")
    func entries() throws {
        let file = try SafetensorsFile(path: everyType, warn: noWarnings)
        let scalar = try #require(file.entry(named: "scalar"))
        #expect(scalar.shape == [] && scalar.count == 1 && scalar.byteRange.count == 4)
        #expect(try file.tensor(named: "scalar").values == [2.5])
        let empty = try #require(file.entry(named: "nothing"))
        #expect(empty.shape == [0, 3] && empty.count == 0 && empty.byteRange.isEmpty)
        #expect(try file.tensor(named: "nothing").shape == [0, 3])
        #expect(try file.tensor(named: "é\n\"\\/\u{7F}").values == [1, 2])
        #expect(file.tensors.first?.summary == "U64 [3]")
        #expect(file.tensors.last?.byteRange.upperBound == file.byteCount)
        #expect(
            zip(file.tensors, file.tensors.dropFirst()).allSatisfy {
                $0.byteRange.upperBound == $1.byteRange.lowerBound
            })
    }

    @Test("gives no floats for types that hold none, and no integers for floats")
    func wrongAccess() throws {
        let file = try SafetensorsFile(path: everyType, warn: noWarnings)
        func message(_ body: () throws -> Void) -> String { complaint(in: fixturePath("safetensors"), body) }
        let prefix = "every-type.safetensors: error: "
        #expect(
            message { _ = try file.tensor(named: "int8") } == prefix
                + "int8: the stored type is I8, from which floating-point weights can't be read")
        #expect(
            message { _ = try file.raw(named: "complex64").doubles() } == prefix
                + "complex64: the stored type is C64, from which numbers can't be read")
        #expect(
            message { _ = try file.raw(named: "float32").integers() } == prefix
                + "float32: the stored type is F32, from which integers can't be read")
        #expect(message { _ = try file.tensor(named: "absent") } == prefix + "absent: no such tensor")
        let large = try SafetensorsFile(
            bytes: safetensors(#"{"w":{"dtype":"U64","shape":[1],"data_offsets":[0,8]}}"#)
                + [0, 0, 0, 0, 0, 0, 0, 0x80], path: "x", warn: noWarnings)
        #expect(
            complaint { _ = try large.raw(named: "w").integers() }
                == "x: error: w: the element 9223372036854775808 is too large")
    }

    @Test("is used in place for F32, and stays while a tensor needs it")
    func mapping() throws {
        let folder = try TemporaryFolder()
        let count = 100_000
        try SafetensorsWriter.write(
            [OutgoingTensor("w", Tensor((0..<count).map(Float.init), shape: [count]), as: .float32)],
            to: folder.file("large.safetensors"))
        func open() throws -> (Tensor, Tensor) {
            let file = try SafetensorsFile(path: folder.file("large.safetensors"), warn: noWarnings)
            return (try file.tensor(named: "w"), try file.tensor(named: "w"))
        }
        let (a, b) = try open()
        #expect(a.isReadOnly && a.data == b.data)
        #expect(a.values == (0..<count).map(Float.init))
    }

    @Test("whose floats stand at odd addresses is copied, which is said once")
    func misaligned() throws {
        let header =
            #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"#
            + #""data_offsets":[1,5]},"c":{"dtype":"F32","shape":[2],"data_offsets":[5,13]}}"#
        let floats: [Float] = [1.5, -2, 3]
        let bytes = safetensors(header) + [7] + floats.withUnsafeBytes { Array($0) }
        var warnings: [String] = []
        let file = try SafetensorsFile(bytes: bytes, path: "x.safetensors") { warnings.append("\($0)") }
        #expect(try file.tensor(named: "b").values == [1.5])
        #expect(try file.tensor(named: "c").values == [-2, 3])
        #expect(
            warnings == [
                "x.safetensors: warning: b: doesn't start at a multiple of 4 bytes and 1 more: copied into memory "
                    + "instead of mapped"
            ])
    }

    /// NaN made equal, everything else distinguished.
    private func bits(_ values: [Double]) -> [UInt64] { values.map { $0.isNaN ? 1 : $0.bitPattern } }
    private func bits(_ values: [Float]) -> [UInt32] { values.map { $0.isNaN ? 1 : $0.bitPattern } }

    @Test("with a number that is none is an error that names tensor and element, in every type that has such numbers")
    func nonFinite() throws {
        func complaint(_ type: String, _ size: Int, _ bytes: [UInt8]) throws -> String {
            let header = #"{"w":{"dtype":"\#(type)","shape":[2,2],"data_offsets":[0,\#(4 * size)]}}"#
            let whole = [UInt8](repeating: 0, count: 3 * size) + bytes
            let file = try SafetensorsFile(bytes: safetensors(header) + whole, path: "x.safetensors", warn: { _ in })
            return TestSupport.complaint { try file.raw(named: "w").requireFinite() }
        }
        func text(_ value: String) -> String {
            "x.safetensors: error: w: holds \(value) in row 1, column 1, with which nothing can be computed: the training "
                + "that made it diverged, or the file is damaged"
        }
        #expect(try complaint("F32", 4, [0, 0, 0xC0, 0x7F]) == text("NaN"))
        #expect(try complaint("F32", 4, [0, 0, 0x80, 0xFF]) == text("infinity"))
        #expect(try complaint("BF16", 2, [0x80, 0x7F]) == text("infinity"))
        #expect(try complaint("F16", 2, [0, 0x7C]) == text("infinity"))
        #expect(try complaint("F64", 8, [0, 0, 0, 0, 0, 0, 0xF0, 0x7F]) == text("infinity"))
        #expect(try complaint("F8_E4M3", 1, [0x7F]) == text("NaN"))
        #expect(try complaint("F32", 4, [0xFF, 0xFF, 0x7F, 0x7F]) == "no error")
        #expect(try complaint("I32", 4, [0, 0, 0xC0, 0x7F]) == "no error")
        #expect(try complaint("BOOL", 1, [1]) == "no error")
    }
}
