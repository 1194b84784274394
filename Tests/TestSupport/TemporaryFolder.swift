import Files
import FoundationEssentials

/// An empty folder that goes when the test ends.
public final class TemporaryFolder {
    public let path: String

    public init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "checkpoints-\(UUID().uuidString)").path()
        try FileSystem.createFolder(path)
    }

    deinit { try? FileSystem.remove(path) }

    public func file(_ name: String) -> String { FileSystem.join(path, name) }

    @discardableResult
    public func write(_ text: String, to name: String) throws -> String {
        try FileSystem.createFolder(FileSystem.split(file(name)).folder)
        try AtomicFile.write(text, to: file(name))
        return file(name)
    }
}

/// What `body` complains about, with `folder` cut out of the text; "no error" where it doesn't.
public func complaint(in folder: String = "", _ body: () throws -> Void) -> String {
    do {
        try body()
        return "no error"
    } catch {
        let text = "\(error)"
        return folder.isEmpty ? text : text.replacing(folder + "/", with: "").replacing(folder, with: "FOLDER")
    }
}

/// A file's bytes.
public func content(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(filePath: path))) }
