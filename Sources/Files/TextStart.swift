public import Diagnostics

/// Where the text in the bytes of a file begins: behind a byte order mark, if there is one.
///
/// Throws a `Problem` for UTF-16 and UTF-32, told by their marks or by a zero byte beside the first letter.
public func textStart(of bytes: UnsafeRawBufferPointer, file: String?) throws(Problem) -> Int {
    if let encoding = foreignEncoding(of: bytes) {
        throw Problem("is text in \(encoding): save it as UTF-8", file: file)
    }
    return lengthOfMark(bytes)
}

/// The number of bytes of the byte order mark of UTF-8 that `bytes` begin with.
package func lengthOfMark(_ bytes: UnsafeRawBufferPointer) -> Int { bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0 }

/// The name of the encoding other than UTF-8 that `bytes` seem to have.
package func foreignEncoding(of bytes: UnsafeRawBufferPointer) -> String? {
    if bytes.starts(with: [0xFF, 0xFE, 0, 0]) || bytes.starts(with: [0, 0, 0xFE, 0xFF]) { return "UTF-32" }
    if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) { return "UTF-16" }
    return bytes.count >= 2 && (bytes[0] == 0) != (bytes[1] == 0) ? "UTF-16" : nil
}
