import Diagnostics
import Files
import FoundationEssentials
import Glibc
import TestSupport
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
    }

    @Test("says so where there is no room left") func full() async throws {
        // In a process of its own, whose files may have no more than four bytes.
        await #expect(processExitsWith: .success) {
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 4, rlim_max: 4)
            let folder = try TemporaryFolder()
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            do {
                try AtomicFile.write("12345678", to: folder.file("c"))
                exit(1)
            } catch let problem as Problem {
                let isRight = problem.message == "writing failed: File too large" && problem.exitStatus == .inputOutput
                let names = try FileSystem.names(in: folder.path)
                exit(isRight && names.isEmpty ? 0 : 2)
            }
        }
    }

    @Test("follows and removes no link that lies under its temporary name, nor anything else that isn't its own")
    func planted() throws {
        let folder = try TemporaryFolder()
        let thesis = try folder.write("thesis", to: "thesis.txt")
        let temporary = folder.file(".notes.txt.partial")
        let refusal = """
            notes.txt: error: can't be created: '.notes.txt.partial', the name that it has until it is complete, is taken \
            by something that no earlier run left there, such as a link; remove that
            """
        for make in [
            { symlink(thesis, temporary) }, { symlink(folder.file("nowhere"), temporary) }, { mkdir(temporary, 0o777) },
            { mkfifo(temporary, 0o600) },
        ] {
            try #require(make() == 0)
            #expect(complaint(in: folder.path) { try folder.write("new", to: "notes.txt") } == refusal)
            #expect(FileSystem.isLink(temporary) || FileSystem.exists(temporary))
            try FileSystem.remove(temporary)
        }
        #expect(try FileSystem.names(in: folder.path) == ["thesis.txt"])
        // A second name of a file goes, and the file stays as it is.
        try #require(link(thesis, temporary) == 0)
        try folder.write("new", to: "notes.txt")
        #expect(try FileSystem.text(of: thesis) == "thesis")
        #expect(try FileSystem.names(in: folder.path) == ["notes.txt", "thesis.txt"])
    }

    @Test("replaces a link of its own name, not what that leads to; and nothing where it is to replace nothing")
    func target() throws {
        let folder = try TemporaryFolder()
        let thesis = try folder.write("thesis", to: "thesis.txt")
        try #require(symlink(thesis, folder.file("notes.txt")) == 0)
        try folder.write("new", to: "notes.txt")
        #expect(try FileSystem.text(of: thesis) == "thesis")
        let file = try AtomicFile(path: thesis, replacing: false)
        #expect(
            complaint(in: folder.path) { try file.commit() }
                == "thesis.txt: error: came into being meanwhile and isn't replaced; what was to be written is in "
                + "'.thesis.txt.partial'")
        #expect(try FileSystem.text(of: thesis) == "thesis")
        try AtomicFile(path: folder.file("free"), replacing: false).commit()
        #expect(try FileSystem.names(in: folder.path) == [".thesis.txt.partial", "free", "notes.txt", "thesis.txt"])
    }

    @Test("is lost where its temporary name is taken away") func lost() throws {
        let folder = try TemporaryFolder()
        let file = try AtomicFile(path: folder.file("a"))
        try FileSystem.remove(folder.file(".a.partial"))
        try FileManager.default.createSymbolicLink(
            atPath: folder.file(".a.partial"), withDestinationPath: folder.path)
        #expect(
            complaint(in: folder.path) { try file.commit() }
                == "a: error: was lost: '.a.partial', the name that it had until it was complete, was removed or replaced "
                + "by another program")
    }

    @Test("can be a copy")
    func copy() throws {
        let folder = try TemporaryFolder()
        let path = fixture("safetensors/floats.safetensors").path()
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

    @Test("neither follows nor removes a link that lies under its temporary name")
    func planted() throws {
        let folder = try TemporaryFolder()
        let thesis = try folder.write("thesis", to: "precious/thesis.txt")
        try #require(symlink(folder.file("precious"), folder.file(".x.partial")) == 0)
        for replacing in [false, true] {
            #expect(
                complaint(in: folder.path) { _ = try StagedFolder(path: folder.file("x"), replacing: replacing) } == """
                    x: error: can't be created: '.x.partial', the name that it has until it is complete, is taken by \
                    something that no earlier run left there, such as a link; remove that
                    """)
        }
        try StagedFolder.removeUnfinished(in: folder.path, warn: { Issue.record("unexpected: \($0)") })
        #expect(try FileSystem.text(of: thesis) == "thesis")
        #expect(FileSystem.isLink(folder.file(".x.partial")))
    }

    @Test("replaces a folder in one step, and what is left where it is killed behind that goes with the next")
    func replacing() throws {
        let folder = try TemporaryFolder()
        for round in 1...2 {
            try folder.write("old", to: "x/old")
            let staged = try StagedFolder(path: folder.file("x"), replacing: true)
            try AtomicFile.write("new \(round)", to: staged.path(of: "new"))
            #expect(try FileSystem.names(in: staged.path).contains("old"))
            try staged.commit()
            #expect(try FileSystem.names(in: staged.path) == ["new"])
            // As after the exchange.
            try folder.write("old", to: ".x.partial/old")
        }
        _ = try StagedFolder(path: folder.file("x"), replacing: true)
        #expect(try FileSystem.names(in: folder.path) == ["x"])
        #expect(try FileSystem.text(of: folder.file("x/new")) == "new 2")
    }

    @Test("replaces one in two steps where names can't be exchanged, and a kill between them loses nothing")
    func withoutExchange() throws {
        let folder = try TemporaryFolder()
        try folder.write("old", to: "x/old")
        try folder.write("new", to: "other/new")
        try FolderSwap.replace(folder.file("x"), by: folder.file("other"), exchange: { _, _ in EINVAL })
        #expect(try FileSystem.names(in: folder.path) == ["x"])
        #expect(try FileSystem.names(in: folder.file("x")) == ["new"])
        try FileManager.default.moveItem(atPath: folder.file("x"), toPath: folder.file(".x.replaced"))
        var warnings: [String] = []
        try FolderSwap.recover(folder.file("x"), warn: { warnings.append("\($0.message)") })
        #expect(
            warnings == ["an earlier run ended while it replaced this folder: what it held before is in place again"])
        #expect(try FileSystem.names(in: folder.path) == ["x"])
        try folder.write("new", to: ".x.replaced/old")
        try StagedFolder.removeUnfinished(in: folder.path, warn: { Issue.record("unexpected: \($0)") })
        #expect(try FileSystem.names(in: folder.path) == ["x"])
        #expect(
            complaint(in: folder.path) {
                try FolderSwap.replace(folder.file("x"), by: folder.file("none"), exchange: { _, _ in ENOENT })
            } == "x: error: can't be replaced: No such file or directory")
    }

    @Test("is lost where its temporary name is taken away") func lost() throws {
        let folder = try TemporaryFolder()
        let staged = try StagedFolder(path: folder.file("x"))
        let expected = """
            x: error: was lost: '.x.partial', the name that it had until it was complete, was removed or replaced by \
            another program
            """
        try FileSystem.remove(staged.stagingPath)
        #expect(
            complaint(in: folder.path) { try staged.fill { try AtomicFile.write("a", to: staged.path(of: "a")) } }
                == expected)
        try folder.write("mine", to: ".x.partial/mine")
        #expect(complaint(in: folder.path) { try staged.commit() } == expected)
        #expect(try FileSystem.text(of: folder.file(".x.partial/mine")) == "mine")
    }

    @Test("is cleaned up after crashes, unless somebody is writing it")
    func unfinished() throws {
        let folder = try TemporaryFolder()
        try folder.write("x", to: ".a.partial/file")
        try folder.write("x", to: "kept")
        try folder.write("x", to: "crashed")
        try FileManager.default.moveItem(atPath: folder.file("crashed"), toPath: folder.file(".b.partial"))
        let living = try StagedFolder(path: folder.file("c"))
        try StagedFolder.removeUnfinished(in: folder.path, warn: { Issue.record("unexpected: \($0)") })
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

@Suite("The lock and a link in its place") struct PlantedLockTests {
    @Test("leave what the link leads to as it is") func planted() throws {
        let folder = try TemporaryFolder()
        let thesis = try folder.write("thesis", to: "thesis.txt")
        try #require(symlink(thesis, folder.file(".lock")) == 0)
        #expect(
            complaint(in: folder.path) { _ = try FolderLock(folder: folder.path) } == """
                FOLDER: error: the folder can't be locked: '.lock' in it is something that no earlier run left there, such \
                as a link; remove that
                """)
        try FileSystem.remove(folder.file(".lock"))
        try #require(link(thesis, folder.file(".lock")) == 0)
        let lock = try FolderLock(folder: folder.path)
        #expect(try FileSystem.text(of: thesis) == "thesis" && lock.isInPlace)
        try FileManager.default.moveItem(atPath: folder.file(".lock"), toPath: folder.file("elsewhere"))
        #expect(!lock.isInPlace)
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
