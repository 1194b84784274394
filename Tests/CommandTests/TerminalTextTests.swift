import Checkpoints
import Foundation
import Tensors
import Testing

@Suite("Text from files")
struct TerminalTextTests {
    @Test("escape sequences in names are shown, not done")
    func escapes() throws {
        let folder = try TemporaryFolder()
        let name = "a\u{1B}[2J\u{9B}31mb"
        let tensor = OutgoingTensor(name, Tensor([1], shape: [1]), as: .float32)
        try SafetensorsWriter.write([tensor], to: folder.path + "/x.safetensors")
        let outcome = try peft("inspect", folder.path + "/x.safetensors", "--tensors")
        #expect(outcome.status == 0)
        #expect(outcome.output.contains("a\\u001b[2J\\u009b31mb  F32 [1]"))
        #expect(!outcome.output.unicodeScalars.contains { $0.value == 0x1B || $0.value == 0x9B })
        let missing = try peft("inspect", "no\u{1B}]0;title\u{7}\r")
        #expect(missing.status == 66)
        #expect(missing.errors.hasPrefix("no\\u001b]0;title\\u0007\\u000d: error: "))
        let usage = try peft("inspect", "a", "\u{1B}[31mb")
        #expect(usage.status == 64)
        #expect(usage.errors.contains("\\u001b[31mb") && !usage.errors.contains("\u{1B}"))
    }
}
