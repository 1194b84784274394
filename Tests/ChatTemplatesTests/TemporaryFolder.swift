import FoundationEssentials

/// A folder of small files that goes away with this object.
final class TemporaryFolder {
    let url = FileManager.default.temporaryDirectory.appending(path: "chat-\(UUID().uuidString)")
    var path: String { url.path() }

    init(_ files: [String: String] = [:]) throws {
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        for (name, text) in files {
            let file = url.appending(path: name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    /// The text of the problem that `body` throws, with this folder's path left out.
    func problem(_ body: () throws -> Void) -> String? {
        do { try body() } catch {
            return "\(error)".replacing(url.path() + "/", with: "").replacing(url.path(), with: "FOLDER")
        }
        return nil
    }
}
