import Checkpoints
import Diagnostics
import Files
import Glibc
import TestSupport
import Testing

@Suite("A file for results") struct OutputFileTests {
    @Test("replaces an existing one only where that is wanted, and what came into being meanwhile never unasked")
    func existing() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("old", to: "out.jsonl")
        #expect(
            complaint(in: folder.path) { _ = try OutputFile(path, replacing: false, inputs: []) }
                == "out.jsonl: error: exists already: give --overwrite to replace it, or choose another file")
        #expect(try FileSystem.text(of: path) == "old")
        try OutputFile(path, replacing: true, inputs: []).write("new")
        #expect(try FileSystem.text(of: path) == "new")
        let late = try OutputFile(folder.file("late"), replacing: false, inputs: [])
        try folder.write("other", to: "late")
        #expect(
            complaint(in: folder.path) { try late.write("mine") }
                == "late: error: came into being meanwhile and isn't replaced; what was to be written is in "
                + "'.late.partial'")
        #expect(try FileSystem.text(of: folder.file(".late.partial")) == "mine")
    }

    @Test("is never an input, by whatever path or link, even where it may be replaced")
    func inputs() throws {
        let folder = try TemporaryFolder()
        let data = try folder.write("data", to: "data.jsonl")
        try folder.write("{}", to: "adapter/adapter_config.json")
        try folder.write("mine", to: "adapter/predictions.jsonl")
        try #require(symlink("data.jsonl", folder.file("link")) == 0)
        try #require(link(data, folder.file("second")) == 0)
        try #require(symlink("adapter/adapter_config.json", folder.file("config")) == 0)
        for (path, input) in [
            ("data.jsonl", "data.jsonl"), ("link", "data.jsonl"), ("second", "data.jsonl"), ("data.jsonl", "link"),
            ("adapter/../data.jsonl", "data.jsonl"), ("adapter/adapter_config.json", "adapter"), ("config", "adapter"),
        ] {
            #expect(
                complaint(in: folder.path) {
                    _ = try OutputFile(folder.file(path), replacing: true, inputs: [folder.file(input)])
                }
                    == "\(path): error: is an input of this command ('\(input)'), which would be lost: choose another file"
            )
        }
        try OutputFile(folder.file("adapter/predictions.jsonl"), replacing: true, inputs: [folder.file("adapter")])
            .write("new")
        #expect(try FileSystem.text(of: folder.file("adapter/predictions.jsonl")) == "new")
    }

    @Test("isn't a folder, a device, a link to nowhere or in a folder that is missing; and one that goes is made again")
    func places() throws {
        let folder = try TemporaryFolder()
        try FileSystem.createFolder(folder.file("inner"))
        try #require(symlink("nowhere", folder.file("link")) == 0 && mkfifo(folder.file("pipe"), 0o600) == 0)
        func refusal(_ path: String) -> String {
            complaint(in: folder.path) { _ = try OutputFile(folder.file(path), replacing: true, inputs: []) }
        }
        #expect(refusal("inner") == "inner: error: is a folder where a file is to be made")
        #expect(refusal("pipe") == "pipe: error: is no file that can be replaced")
        #expect(refusal("link") == "link: error: is a link that leads nowhere")
        #expect(refusal("none/x") == "none: error: no such folder to write 'none/x' to")
        let file = try OutputFile(folder.file("inner/x"), replacing: false, inputs: [])
        try FileSystem.remove(folder.file("inner"))
        try file.write("kept")
        #expect(try FileSystem.text(of: folder.file("inner/x")) == "kept")
    }
}
