import Checkpoints
import Diagnostics
import Files
import FoundationEssentials
import TestSupport
import Testing

/// An empty folder that goes when the test ends.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "checkpoints-\(UUID().uuidString)").path()
        try FileSystem.createFolder(path)
    }

    deinit { try? FileSystem.remove(path) }

    func file(_ name: String) -> String { FileSystem.join(path, name) }

    @discardableResult
    func write(_ text: String, to name: String) throws -> String {
        try FileSystem.createFolder(FileSystem.split(file(name)).folder)
        try AtomicFile.write(text, to: file(name))
        return file(name)
    }
}

/// A warning sink for what must not warn.
func noWarnings(_ problem: Problem) { Issue.record("unexpected: \(problem)") }

/// What `body` complains about, with `folder` cut out of the text; "no error" where it doesn't.
func complaint(in folder: String = "", _ body: () throws -> Void) -> String {
    do {
        try body()
        return "no error"
    } catch {
        let text = "\(error)"
        return folder.isEmpty ? text : text.replacing(folder + "/", with: "").replacing(folder, with: "FOLDER")
    }
}

/// The path of a committed fixture.
func fixturePath(_ path: String) -> String { fixture(path).path() }

/// A file's bytes.
func content(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(filePath: path))) }

/// A safetensors file around a header and data.
func safetensors(_ header: String, data: Int = 0, length: UInt64? = nil) -> [UInt8] {
    let text = Array(header.utf8)
    return withUnsafeBytes(of: (length ?? UInt64(text.count)).littleEndian) { Array($0) } + text
        + [UInt8](repeating: 0, count: data)
}
