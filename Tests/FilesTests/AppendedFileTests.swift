import Diagnostics
import Files
import TestSupport
import Testing

@Suite("Files that grow") struct AppendedFileTests {
    private func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return ""
        } catch { return "\(error)" }
    }

    @Test("begin new, in the place of others, or behind what they hold") func beginnings() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/f"
        func text() throws -> String { try FileSystem.text(of: path) }
        var file: AppendedFile? = try AppendedFile(path: path, .new)
        try file?.write("one\n")
        #expect(try text() == "one\n")
        #expect(
            message { _ = try AppendedFile(path: path, .keeping(0)) } == "\(path): error: another process is writing it"
        )
        try file?.write("two\npart")
        file = nil
        #expect(
            message { _ = try AppendedFile(path: path, .new) }
                == "\(path): error: came into being meanwhile and isn't replaced")
        let kept = try AppendedFile(path: path, .keeping(8))
        try kept.write("three\n")
        try kept.finish()
        #expect(try text() == "one\ntwo\nthree\n")
        try AppendedFile(path: path, .replacing).write("x")
        #expect(try text() == "x")
        #expect(
            message { _ = try AppendedFile(path: folder.path + "/no/f", .new) }
                == "\(folder.path)/no/f: error: can't be created: No such file or directory")
    }
}
