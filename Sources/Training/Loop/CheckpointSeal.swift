import Diagnostics
import Files
import JSONText

/// Checksums over the files of a checkpoint, which its state's file holds beside one of its own at the end, so that a bit
/// that flipped or a file of another checkpoint shows when a run goes on.
enum CheckpointSeal {
    private static let filesKey = "files"
    private static let ownKey = "checksum"
    /// What stands in front of the state's own checksum, which is taken of all before.
    private static let marker = Array(",\n  \"\(ownKey)\": \"".utf8)
    private static let prefix = "xxh64:"

    /// Writes the state with the checksums of all other files in the folder.
    static func write(_ members: [JSONValue.Member], in folder: String) throws {
        let files = try FileSystem.names(in: folder).map { name in
            JSONValue.Member(name, .string(try checksum(of: FileSystem.join(folder, name))))
        }
        let text = JSONValue.object(members + [.init(filesKey, .object(files))]).text(.indented)
        let start = Array(text.utf8.dropLast(2))
        let own = start.withUnsafeBytes { prefix + ContentHash.text(ContentHash.value(of: $0)) }
        try AtomicFile.write(
            start + marker + Array("\(own)\"\n}\n".utf8), to: FileSystem.join(folder, TrainingCheckpoint.stateName))
    }

    /// Throws a `Problem` where a file is missing or isn't what was written; checkpoints of releases without checksums
    /// pass.
    static func check(_ folder: String) throws {
        let path = FileSystem.join(folder, TrainingCheckpoint.stateName)
        let bytes = try FileBytes(path: path).withBytes { Array($0) }
        let state = try bytes.withUnsafeBytes { try JSONNode.parse($0, file: path) }
        let own = try state.optionalString(ownKey)
        let files = try state.optional(filesKey)
        if own == nil, files == nil { return }
        guard let own, let files, let end = place(of: marker, in: bytes),
            own == bytes[..<end].withUnsafeBytes({ prefix + ContentHash.text(ContentHash.value(of: $0)) })
        else { throw broken(path) }
        for file in try files.asObject() {
            let path = FileSystem.join(folder, file.key)
            if try !FileSystem.isFile(path) || checksum(of: path) != file.value.asString() { throw broken(path) }
        }
    }

    private static func broken(_ path: String) -> Problem {
        Problem(
            FileSystem.isFile(path)
                ? "isn't what the run wrote (its checksum is another): the checkpoint is broken"
                : "is missing: the checkpoint is broken", file: path)
    }

    private static func checksum(of path: String) throws -> String {
        let file = try FileBytes(path: path)
        return file.withBytes { bytes in
            var hash = ContentHash()
            // Page by page, so that a checkpoint takes no memory beside what trains.
            let piece = 1 << 22
            for start in stride(from: 0, to: bytes.count, by: piece) {
                let part = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + piece, bytes.count)])
                hash.add(part)
                file.releasePages(of: part)
            }
            return prefix + hash.text
        }
    }

    /// Where the last occurrence begins.
    private static func place(of part: [UInt8], in bytes: [UInt8]) -> Int? {
        guard bytes.count >= part.count else { return nil }
        return (0...bytes.count - part.count).last { bytes[$0..<$0 + part.count].elementsEqual(part) }
    }
}
