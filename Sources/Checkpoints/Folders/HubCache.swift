import Diagnostics
import Files
import Glibc
import Host

/// The folder in which huggingface_hub keeps what it downloaded.
public enum HubCache {
    /// HF_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub or ~/.cache/huggingface/hub, as huggingface_hub
    /// chooses; nil where not even HOME is set.
    public static func folder(environment: (String) -> String?) -> String? {
        func value(_ name: String) -> String? { environment(name).flatMap { $0.isEmpty ? nil : $0 } }
        if let cache = value("HF_HUB_CACHE") ?? value("HUGGINGFACE_HUB_CACHE") { return expanded(cache, value("HOME")) }
        if let home = value("HF_HOME") { return FileSystem.join(expanded(home, value("HOME")), "hub") }
        if let cache = value("XDG_CACHE_HOME") {
            return FileSystem.join(expanded(cache, value("HOME")), "huggingface/hub")
        }
        return value("HOME").map { FileSystem.join($0, ".cache/huggingface/hub") }
    }

    private static func expanded(_ path: String, _ home: String?) -> String {
        guard let home, path == "~" || path.utf8.starts(with: "~/".utf8) else { return path }
        return home + path.dropFirst()
    }

    /// The folder of a model that was given as a folder or as a name in the cache (`gpt2`, `openai-community/gpt2`).
    ///
    /// An existing folder comes first. Throws a `Problem` with the exit status `missingInput` that says where it looked.
    public static func resolve(_ pathOrName: String) throws -> String {
        try resolve(pathOrName.expandingHome) { name in getenv(name).map { String(cString: $0) } }
    }

    package static func resolve(_ pathOrName: String, environment: (String) -> String?) throws -> String {
        if FileSystem.exists(pathOrName) { return pathOrName }
        let missing = Problem("no such folder", file: pathOrName, exitStatus: .missingInput)
        guard isModelName(pathOrName), let cache = folder(environment: environment) else { throw missing }
        let parts = pathOrName.split(separator: "/").joined(separator: "--")
        let model = FileSystem.join(cache, "models--" + parts)
        guard FileSystem.isFolder(model) else {
            throw Problem(
                "no such folder, and no model of that name in the local Hub cache (\(cache))", file: pathOrName,
                exitStatus: .missingInput)
        }
        let snapshots = FileSystem.join(model, "snapshots")
        if let revision = try revision(ofMain: FileSystem.join(model, "refs/main")) {
            let snapshot = FileSystem.join(snapshots, revision)
            if FileSystem.isFolder(snapshot) { return snapshot }
        }
        let revisions = FileSystem.isFolder(snapshots) ? try FileSystem.names(in: snapshots) : []
        if revisions.count == 1 { return FileSystem.join(snapshots, revisions[0]) }
        if revisions.isEmpty {
            throw Problem(
                "the model is in the local Hub cache (\(model)), but none of its files: download it again",
                file: pathOrName, exitStatus: .missingInput)
        }
        throw Problem(
            "the local Hub cache holds several revisions and doesn't say which is the main one: give the folder of one, "
                + "for instance \(FileSystem.join(snapshots, revisions[0]))", file: pathOrName,
            exitStatus: .missingInput)
    }

    private static func revision(ofMain path: String) throws -> String? {
        guard FileSystem.isFile(path) else { return nil }
        let text = try FileSystem.text(of: path)
        let revision = text.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
        return revision.isEmpty || revision.utf8.contains(UInt8(ascii: "/")) || revision == ".." ? nil : revision
    }

    /// `name` or `organisation/name` of letters, digits, `-`, `_` and `.`.
    private static func isModelName(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count <= 2
            && parts.allSatisfy { part in
                !part.isEmpty && part.utf8.first != UInt8(ascii: ".")
                    && part.unicodeScalars.allSatisfy {
                        $0.isASCII && ($0.properties.isAlphabetic || $0.properties.numericType != nil)
                            || $0 == "-" || $0 == "_" || $0 == "."
                    }
            }
    }
}
