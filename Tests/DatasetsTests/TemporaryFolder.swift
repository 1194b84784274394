import FoundationEssentials

/// A folder of small files that goes away with this object.
final class TemporaryFolder {
    let url = FileManager.default.temporaryDirectory.appending(path: "datasets-\(UUID().uuidString)")

    init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(at: url) }

    /// Writes a file and returns its path.
    func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }

    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = url.appending(path: name)
        try Data(bytes).write(to: file)
        return file.path()
    }

    /// The text of the problem that `body` throws, with this folder's path left out.
    func problem(_ body: () throws -> Void) -> String? {
        do { try body() } catch { return "\(error)".replacing(url.path() + "/", with: "") }
        return nil
    }
}
