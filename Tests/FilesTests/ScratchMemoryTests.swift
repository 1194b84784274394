import Diagnostics
import Files
import TestSupport
import Testing

@Suite("Scratch memory") struct ScratchMemoryTests {
    @Test("is 0 at first, keeps what is written, and leaves no name in its folder")
    func use() throws {
        let folder = try TemporaryFolder()
        let memory = try ScratchMemory(folder: folder.path, byteCount: 100_000)
        #expect(try FileSystem.names(in: folder.path) == [])
        let bytes = UnsafeMutableRawBufferPointer(start: memory.base, count: memory.byteCount)
        #expect(bytes.allSatisfy { $0 == 0 })
        for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index) }
        #expect(bytes.indices.allSatisfy { bytes[$0] == UInt8(truncatingIfNeeded: $0) })
        // A file of the folder's disk, which has no name.
        let maps = try FileSystem.text(of: "/proc/self/maps")
        #expect(maps.contains("\(folder.path)/") && maps.contains("(deleted)"))
    }

    @Test("lies partly or wholly in ordinary memory, as one range of addresses", arguments: [1, 4095, 10_000, 100_000])
    func ordinary(count: Int) throws {
        let folder = try TemporaryFolder()
        let memory = try ScratchMemory(folder: folder.path, byteCount: 50_000, ordinaryBytes: count)
        let bytes = UnsafeMutableRawBufferPointer(start: memory.base, count: memory.byteCount)
        #expect(bytes.count == 50_000 && bytes.allSatisfy { $0 == 0 })
        for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index) }
        #expect(bytes.indices.allSatisfy { bytes[$0] == UInt8(truncatingIfNeeded: $0) })
        #expect(try FileSystem.text(of: "/proc/self/maps").contains("\(folder.path)/") == (count < 50_000))
    }

    @Test("says what is wrong with the folder, or that the disk has no room")
    func errors() throws {
        let folder = try TemporaryFolder()
        try folder.write("x", to: "file")
        func text(_ path: String, _ count: Int) -> String {
            complaint(in: folder.path) { _ = try ScratchMemory(folder: path, byteCount: count) }
        }
        #expect(
            text(folder.file("none"), 10)
                == "none: error: no scratch file can be made in the folder: No such file or directory")
        #expect(
            text(folder.file("file"), 10) == "file: error: no scratch file can be made in the folder: Not a directory")
        let full = text(folder.path, 1 << 60)
        #expect(
            full.contains("error: the disk has no room for a scratch file of 1152921504606846976 bytes: "), "\(full)")
        #expect(try FileSystem.names(in: folder.path) == ["file"])
    }

    @Test("knows folders whose files lie in memory")
    func memory() {
        #expect(ScratchMemory.isInMemory("/dev/shm"))
        #expect(!ScratchMemory.isInMemory("/proc"))
        #expect(!ScratchMemory.isInMemory("/no/such/folder"))
    }
}
