import Checkpoints
import Diagnostics
import FoundationEssentials
import Glibc
import Testing

@Suite("An atomic file") struct AtomicFileTests {
    @Test("appears whole under its name, and nothing else stays")
    func commit() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("old", to: "notes.txt")
        do {
            let file = try AtomicFile(path: path)
            try Array("new".utf8).withUnsafeBytes { try file.write($0) }
            #expect(try FileSystem.text(of: path) == "old")
            #expect(try FileSystem.names(in: folder.path) == [".notes.txt.partial", "notes.txt"])
            try file.commit()
        }
        #expect(try FileSystem.text(of: path) == "new")
        #expect(try FileSystem.names(in: folder.path) == ["notes.txt"])
    }

    @Test("that isn't committed leaves nothing, and what a crash left is overwritten")
    func abandoned() throws {
        let folder = try TemporaryFolder()
        try folder.write("longer than the new content", to: "crashed")
        try FileManager.default.moveItem(atPath: folder.file("crashed"), toPath: folder.file(".notes.txt.partial"))
        _ = try AtomicFile(path: folder.file("notes.txt"))
        #expect(try FileSystem.names(in: folder.path) == [])
        try folder.write("longer than the new content", to: "crashed")
        try FileManager.default.moveItem(atPath: folder.file("crashed"), toPath: folder.file(".notes.txt.partial"))
        try folder.write("new", to: "notes.txt")
        #expect(try FileSystem.text(of: folder.file("notes.txt")) == "new")
    }

    @Test("can't be written twice at a time, in a folder that is missing, over a folder, or on a full disk")
    func errors() throws {
        let folder = try TemporaryFolder()
        let file = try AtomicFile(path: folder.file("a"))
        func status(_ body: () throws -> Void) -> Diagnostics.ExitStatus? {
            do { try body() } catch let problem as Problem { return problem.exitStatus } catch {}
            return nil
        }
        withExtendedLifetime(file) {
            #expect(
                complaint(in: folder.path) { _ = try AtomicFile(path: folder.file("a")) }
                    == "a: error: another process is writing it")
        }
        let missing = { _ = try AtomicFile(path: folder.file("no/a")) }
        #expect(complaint(in: folder.path, missing) == "no/a: error: can't be created: No such file or directory")
        #expect(status(missing) == .cannotCreate)
        try FileSystem.createFolder(folder.file("b"))
        #expect(
            complaint(in: folder.path) { try folder.write("x", to: "b") }
                == "b: error: can't be put in place: Is a directory")
        // Every write to this device fails as on a full disk.
        let full = FileSystem.join(folder.path, ".c.partial")
        try #require(symlink("/dev/full", full) == 0)
        let disk = { _ = try folder.write("x", to: "c") }
        #expect(complaint(in: folder.path, disk) == "c: error: writing failed: No space left on device")
        try #require(symlink("/dev/full", full) == 0)
        #expect(status(disk) == .inputOutput)
    }

    @Test("can be a copy")
    func copy() throws {
        let folder = try TemporaryFolder()
        let path = fixturePath("safetensors/floats.safetensors")
        try FileSystem.copyFile(from: path, to: folder.file("copy"))
        #expect(try content(folder.file("copy")) == content(path))
    }
}

@Suite("A staged folder") struct StagedFolderTests {
    @Test("appears whole under its name, made of what was written to the other")
    func commit() throws {
        let folder = try TemporaryFolder()
        let staged = try StagedFolder(path: folder.file("runs/step-1"))
        try AtomicFile.write("a", to: staged.path(of: "a.txt"))
        try FileSystem.createFolder(staged.path(of: "inner"))
        try AtomicFile.write("b", to: staged.path(of: "inner/b.txt"))
        #expect(!FileSystem.exists(staged.path))
        #expect(try FileSystem.names(in: folder.file("runs")) == [".step-1.partial"])
        try staged.commit()
        #expect(try FileSystem.names(in: folder.file("runs")) == ["step-1"])
        #expect(try FileSystem.text(of: folder.file("runs/step-1/inner/b.txt")) == "b")
    }

    @Test("that isn't committed leaves nothing; what a crash left is removed, but links are not followed")
    func abandoned() throws {
        let folder = try TemporaryFolder()
        try folder.write("stays", to: "elsewhere/file")
        try folder.write("stale", to: ".x.partial/deep/stale")
        try #require(symlink(folder.file("elsewhere"), folder.file(".x.partial/link")) == 0)
        do {
            let staged = try StagedFolder(path: folder.file("x"))
            #expect(try FileSystem.names(in: staged.stagingPath) == [])
        }
        #expect(try FileSystem.names(in: folder.path) == ["elsewhere"])
        #expect(try FileSystem.text(of: folder.file("elsewhere/file")) == "stays")
    }

    @Test("replaces an empty folder and nothing else, and is written by one process")
    func errors() throws {
        let folder = try TemporaryFolder()
        try folder.write("x", to: "full/a")
        #expect(
            complaint(in: folder.path) { _ = try StagedFolder(path: folder.file("full")) }
                == "full: error: the folder exists and is not empty")
        #expect(
            complaint(in: folder.path) { _ = try StagedFolder(path: folder.file("full/a")) }
                == "full/a: error: is a file where a folder is to be made")
        #expect(
            complaint(in: folder.path) { _ = try StagedFolder(path: folder.file("full/a/b")) }
                == "full/a: error: is a file where a folder is to be made")
        try FileSystem.createFolder(folder.file("empty"))
        let staged = try StagedFolder(path: folder.file("empty/"))
        #expect(
            complaint(in: folder.path) { _ = try StagedFolder(path: folder.file("empty")) }
                == "empty: error: another process is writing it")
        try staged.commit()
        #expect(try FileSystem.names(in: folder.path) == ["empty", "full"])
    }

    @Test("is cleaned up after crashes, unless somebody is writing it")
    func unfinished() throws {
        let folder = try TemporaryFolder()
        try folder.write("x", to: ".a.partial/file")
        try folder.write("x", to: "kept")
        try folder.write("x", to: "crashed")
        try FileManager.default.moveItem(atPath: folder.file("crashed"), toPath: folder.file(".b.partial"))
        let living = try StagedFolder(path: folder.file("c"))
        try StagedFolder.removeUnfinished(in: folder.path)
        withExtendedLifetime(living) {
            #expect((try? FileSystem.names(in: folder.path)) == [".c.partial", "kept"])
        }
    }
}

@Suite("A folder's lock") struct FolderLockTests {
    @Test("is held by one at a time, and leaves no trace")
    func exclusive() throws {
        let folder = try TemporaryFolder()
        do {
            let lock = try FolderLock(folder: folder.path)
            withExtendedLifetime(lock) {
                #expect(
                    complaint(in: folder.path) { _ = try FolderLock(folder: folder.path) }
                        == "FOLDER: error: another run is using this folder (process \(getpid())): wait for its end, or "
                        + "choose another output folder")
            }
        }
        #expect(try FileSystem.names(in: folder.path) == [])
        _ = try FolderLock(folder: folder.path)
        #expect(
            complaint(in: folder.path) { _ = try FolderLock(folder: folder.file("no")) }
                == "no: error: the folder can't be locked: No such file or directory")
    }
}

@Suite("A path") struct PathTests {
    @Test(
        "is split into folder and name",
        arguments: [
            ("a/b", "a", "b"), ("a/b/", "a", "b"), ("b", ".", "b"), ("/b", "/", "b"), ("/", "/", ""), ("./b", ".", "b"),
            ("a//", ".", "a"),
        ])
    func split(_ path: String, _ folder: String, _ name: String) {
        #expect(FileSystem.split(path) == (folder, name))
    }
}
