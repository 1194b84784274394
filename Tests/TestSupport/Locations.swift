public import FoundationEssentials

/// The root of the repository, found from where this file was compiled.
public let repositoryRoot = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// A committed fixture, `Tests/Fixtures/<path>`.
public func fixture(_ path: String) -> URL { repositoryRoot.appending(path: "Tests/Fixtures/\(path)") }

/// A file of the larger data that may lie beside the repository, in `../shared/data`; nil where it is absent.
///
/// A test that needs it is marked `.enabled(if: sharedData("…") != nil)`, so that the runner counts it as skipped.
public func sharedData(_ path: String) -> URL? {
    let file = repositoryRoot.deletingLastPathComponent().appending(path: "shared/data/\(path)")
    return FileManager.default.fileExists(atPath: file.path()) ? file : nil
}
