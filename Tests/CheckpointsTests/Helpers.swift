import Checkpoints
import Diagnostics
import Files
import FoundationEssentials
import TestSupport
import Testing

/// A warning sink for what must not warn.
func noWarnings(_ problem: Problem) { Issue.record("unexpected: \(problem)") }

/// The path of a committed fixture.
func fixturePath(_ path: String) -> String { fixture(path).path() }

/// A safetensors file around a header and data.
func safetensors(_ header: String, data: Int = 0, length: UInt64? = nil) -> [UInt8] {
    let text = Array(header.utf8)
    return withUnsafeBytes(of: (length ?? UInt64(text.count)).littleEndian) { Array($0) } + text
        + [UInt8](repeating: 0, count: data)
}
