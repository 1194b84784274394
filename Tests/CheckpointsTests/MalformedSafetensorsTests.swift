import Checkpoints
import Diagnostics
import TestSupport
import Testing

/// A broken file, and all that is said about it.
struct MalformedFile: Sendable, CustomTestStringConvertible {
    let bytes: [UInt8]
    let message: String

    init(_ bytes: [UInt8], _ message: String) {
        self.bytes = bytes
        self.message = message
    }

    /// A header with a tensor `w`, of which `fields` are given, and eight bytes of data.
    init(fields: String, _ message: String) {
        self.init(safetensors("{\"w\":{\(fields)}}", data: 8), "w: " + message)
    }

    var testDescription: String { message }
}

private let first = #""a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}"#

@Suite("A malformed safetensors file") struct MalformedSafetensorsTests {
    @Test(
        "is an error that says what is wrong",
        arguments: [
            MalformedFile([], "the file is empty"),
            MalformedFile(
                [1, 0, 0],
                "the file has 3 bytes, fewer than the 8 that hold the header's length: it is truncated, or not a "
                    + "safetensors file"),
            MalformedFile(safetensors("", length: 0), "the header is empty"),
            MalformedFile(
                safetensors("{}", length: 3),
                "the header's length is given as 3 bytes, but only 2 follow: the file is truncated"),
            MalformedFile(
                safetensors("{}", length: 100_000_001),
                "the header's length is given as 100000001 bytes, more than the limit of 100000000: not a safetensors "
                    + "file, or a damaged one"),
            MalformedFile(
                safetensors("{}", length: UInt64(bitPattern: -1)),
                "the header's length is given as 18446744073709551615 bytes, more than the limit of 100000000: not a "
                    + "safetensors file, or a damaged one"),
            MalformedFile(
                safetensors("[]"), "the header does not start with '{': not a safetensors file, or a damaged one"),
            MalformedFile(
                safetensors(" {}"), "the header does not start with '{': not a safetensors file, or a damaged one"),
            MalformedFile(
                safetensors("{\"a\":"), "a: the header is broken at byte 6: expected a value, found the end of the text"
            ),
            MalformedFile(
                safetensors("{} x"),
                "the header is broken at byte 4: expected the end of the text after the value, found 'x'"),
            MalformedFile(
                safetensors("{}\n\n \0"),
                "the header is broken at line 3, byte 2: expected the end of the text after the value, found the byte "
                    + "0x00"),
            MalformedFile(
                safetensors("{\(first),\(first)}", data: 4),
                "the header is broken at byte 54: the key \"a\" appears twice in one object"),
            MalformedFile(
                safetensors("{\(first),\"\\u00e9\":\(zero),\"e\\u0301\":\(zero)}", data: 4),
                "e\u{301}: appears twice, in two Unicode spellings"),
            MalformedFile(
                safetensors(#"{"__metadata__":{"a":1}}"#),
                "__metadata__: the header is broken at byte 22: expected a string, got 1"),
            MalformedFile(
                safetensors(#"{"__metadata__":[]}"#),
                "__metadata__: the header is broken at byte 17: expected an object, got an array"),
            MalformedFile(
                safetensors(#"{"w":["U8",[0],[0,0]]}"#),
                "w: the header is broken at byte 6: expected an object, got an array"),
            MalformedFile(
                [11, 0, 0, 0, 0, 0, 0, 0] + Array("{\"".utf8) + [0xFF] + Array("\":null}".utf8) + [0x20],
                "the header is broken at byte 3: invalid UTF-8 (byte 0xFF)"),
            MalformedFile(
                safetensors("{\(first)}", data: 5), "the last byte of the file belongs to no tensor"),
            MalformedFile(safetensors("{}", data: 8), "the last 8 bytes of the file belong to no tensor"),
            MalformedFile(
                safetensors("{\(first)}", data: 3),
                "a: data_offsets are [0, 4], but the file has 3 bytes of data: it is truncated or damaged"),
            MalformedFile(
                safetensors("{\(first),\(tensor("b", 4, 2, 6))}", data: 6), "b: its bytes overlap those of 'a'"),
            MalformedFile(
                safetensors("{\(first),\(tensor("b", 4, 0, 4))}", data: 4), "b: its bytes overlap those of 'a'"),
            MalformedFile(
                safetensors("{\(first),\(tensor("b", 0, 2, 2))}", data: 4), "b: its bytes overlap those of 'a'"),
            MalformedFile(
                safetensors("{\(first),\(tensor("b", 4, 6, 10))}", data: 10),
                "b: the 2 bytes before its data belong to no tensor"),
            MalformedFile(
                Array("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n".utf8),
                "is a Git LFS pointer, not the file itself: fetch it with 'git lfs pull' or download it again"),
            MalformedFile(
                [0x50, 0x4B, 3, 4, 0, 0, 0, 0, 0, 0],
                "is a PyTorch archive (or another zip file), not a safetensors file: save the model again with "
                    + "safe_serialization=True"),
        ])
    func file(_ file: MalformedFile) { expectComplaint(file) }

    @Test(
        "is an error that names the tensor whose fields are wrong",
        arguments: [
            MalformedFile(fields: #""shape":[8],"data_offsets":[0,8]"#, "the dtype is missing"),
            MalformedFile(fields: #""dtype":"U8","data_offsets":[0,8]"#, "the shape is missing"),
            MalformedFile(fields: #""dtype":"U8","shape":[8]"#, "data_offsets are missing"),
            MalformedFile(
                fields: #""dtype":"U8","shape":[8],"data_offsets":[0,8],"strides":[1]"#,
                "unknown field 'strides' (a tensor has dtype, shape and data_offsets)"),
            MalformedFile(
                fields: #""dtype":"U8","dtype":"U8","shape":[8],"data_offsets":[0,8]"#,
                "the header is broken at byte 20: the key \"dtype\" appears twice in one object"),
            MalformedFile(
                fields: #""dtype":"float32","shape":[2],"data_offsets":[0,8]"#,
                "unknown dtype 'float32' (known are BOOL, F4, F6_E2M3, F6_E3M2, U8, I8, F8_E5M2, F8_E4M3, F8_E8M0, "
                    + "F8_E4M3FNUZ, F8_E5M2FNUZ, I16, U16, F16, BF16, I32, U32, F32, C64, F64, I64, U64)"),
            MalformedFile(
                fields: #""dtype":7,"shape":[8],"data_offsets":[0,8]"#,
                "the header is broken at byte 15: expected a string, got 7"),
            MalformedFile(
                fields: #""dtype":"U8","shape":8,"data_offsets":[0,8]"#,
                "the header is broken at byte 28: expected an array, got 8"),
            MalformedFile(
                fields: #""dtype":"U8","shape":[8.0],"data_offsets":[0,8]"#,
                "the header is broken at byte 29: expected an integer, got 8.0"),
            MalformedFile(
                fields: #""dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,8]"#,
                "the header is broken at byte 29: expected an integer, got 9223372036854775808"),
            MalformedFile(
                fields: #""dtype":"U8","shape":[-8,-1],"data_offsets":[0,8]"#, "the shape has the negative number -8"),
            MalformedFile(
                fields: #""dtype":"U8","shape":[8],"data_offsets":[-8,0]"#, "data_offsets has the negative number -8"),
            MalformedFile(
                fields: #""dtype":"U8","shape":[8],"data_offsets":[0]"#,
                "data_offsets are [0], not a start and an end"),
            MalformedFile(
                fields: #""dtype":"U8","shape":[8],"data_offsets":[0,8,8]"#,
                "data_offsets are [0, 8, 8], not a start and an end"),
            MalformedFile(
                fields: #""dtype":"U8","shape":[8],"data_offsets":[8,0]"#,
                "data_offsets are [8, 0]: the end comes before the start"),
            MalformedFile(
                fields: #""dtype":"U8","shape":[9],"data_offsets":[0,9]"#,
                "data_offsets are [0, 9], but the file has 8 bytes of data: it is truncated or damaged"),
            MalformedFile(
                fields: #""dtype":"F32","shape":[3],"data_offsets":[0,8]"#,
                "data_offsets [0, 8] hold 8 bytes, but F32 [3] takes 12"),
            MalformedFile(
                fields: #""dtype":"F32","shape":[],"data_offsets":[0,8]"#,
                "data_offsets [0, 8] hold 8 bytes, but F32 [] takes 4"),
            MalformedFile(
                fields: #""dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,8]"#,
                "the size of U8 [4294967296, 4294967296] in bytes is not a whole number that can be addressed"),
            MalformedFile(
                fields: #""dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]"#,
                "the size of U8 [4294967296, 4294967296, 0] in bytes is not a whole number that can be addressed"),
            MalformedFile(
                fields: #""dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,8]"#,
                "the size of F64 [2305843009213693952] in bytes is not a whole number that can be addressed"),
            MalformedFile(
                fields: #""dtype":"F4","shape":[5],"data_offsets":[0,8]"#,
                "the size of F4 [5] in bytes is not a whole number that can be addressed"),
        ])
    func tensorFields(_ file: MalformedFile) { expectComplaint(file) }

    private func expectComplaint(_ file: MalformedFile) {
        let found = complaint { _ = try SafetensorsFile(bytes: file.bytes, path: "x.safetensors", warn: noWarnings) }
        #expect(found == "x.safetensors: error: " + file.message)
    }

    @Test("is missing, a folder or unreadable: the error says so, and the exit status is that of missing input")
    func unopened() throws {
        let folder = try TemporaryFolder()
        func open(_ path: String) throws { _ = try SafetensorsFile(path: path, warn: noWarnings) }
        #expect(complaint(in: folder.path) { try open(folder.file("a")) } == "a: error: no such file")
        #expect(
            complaint(in: folder.path) { try open(folder.path) } == "FOLDER: error: expected a file, found a folder")
        let problem = #expect(throws: Problem.self) { try open(folder.file("a")) }
        #expect(problem?.exitStatus == .missingInput)
    }
}

private let zero = #"{"dtype":"U8","shape":[0],"data_offsets":[4,4]}"#

private func tensor(_ name: String, _ count: Int, _ start: Int, _ end: Int) -> String {
    #""\#(name)":{"dtype":"U8","shape":[\#(count)],"data_offsets":[\#(start),\#(end)]}"#
}
