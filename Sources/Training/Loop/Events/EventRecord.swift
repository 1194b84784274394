/// A record of TensorBoard's event files: the message `Event` of tensorboard/compat/proto/event.proto, with the fields
/// that are used here.
package struct EventRecord {
    package enum Content {
        /// The first record of a file.
        case fileVersion(writer: String)
        /// The run goes on behind the step before this one, so that readers drop what they know of this one and later ones.
        case sessionStart
        case scalars([(tag: String, value: Float)])
        /// A text in Markdown.
        case text(tag: String, String)
    }

    private let seconds: Double
    private let step: Int
    private let content: Content

    /// - Parameter seconds: Since 1970.
    package init(seconds: Double, step: Int, _ content: Content) {
        (self.seconds, self.step, self.content) = (seconds, step, content)
    }

    /// The record as it stands in the file (TFRecord): its length, a checksum of that, the message, a checksum of that.
    package var bytes: [UInt8] {
        let (message, length) = (self.message, Self.littleEndian(UInt64(self.message.count)))
        return length + Self.littleEndian(CastagnoliChecksum.masked(length)) + message
            + Self.littleEndian(CastagnoliChecksum.masked(message))
    }

    private var message: [UInt8] {
        var event = ProtobufWriter()
        event.double(1, seconds)
        event.integer(2, step)
        switch content {
        case .fileVersion(let writer):
            event.text(3, "brain.Event:2")
            event.message(10) { $0.text(1, writer) }
        case .sessionStart: event.message(7) { $0.integer(1, 1) }
        case .scalars(let scalars):
            event.message(5) { summary in
                for scalar in scalars {
                    summary.message(1) { value in
                        value.text(1, scalar.tag)
                        value.float(2, scalar.value)
                    }
                }
            }
        case .text(let tag, let text):
            event.message(5) { summary in
                summary.message(1) { value in
                    value.text(1, tag)
                    value.message(8) { tensor in
                        // A string tensor of shape [1].
                        tensor.integer(1, 7)
                        tensor.message(2) { $0.message(2) { $0.integer(1, 1) } }
                        tensor.text(8, text)
                    }
                    value.message(9) { $0.message(1) { $0.text(1, "text") } }
                }
            }
        }
        return event.bytes
    }

    private static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
}

/// Writes fields of a message as protocol buffers have them; integers and doubles of 0 are left out, as in proto3.
private struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    mutating func integer(_ field: Int, _ value: Int) {
        if value == 0 { return }
        key(field, 0)
        variable(UInt64(bitPattern: Int64(value)))
    }

    mutating func double(_ field: Int, _ value: Double) {
        if value == 0 { return }
        key(field, 1)
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 }
    }

    /// One of several fields that exclude each other, so that a 0 is written too.
    mutating func float(_ field: Int, _ value: Float) {
        key(field, 5)
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 }
    }

    mutating func text(_ field: Int, _ value: String) { delimited(field, Array(value.utf8)) }

    mutating func message(_ field: Int, _ write: (inout ProtobufWriter) -> Void) {
        var inner = ProtobufWriter()
        write(&inner)
        delimited(field, inner.bytes)
    }

    private mutating func delimited(_ field: Int, _ content: [UInt8]) {
        key(field, 2)
        variable(UInt64(content.count))
        bytes += content
    }

    private mutating func key(_ field: Int, _ wireType: UInt64) { variable(UInt64(field) << 3 | wireType) }

    private mutating func variable(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}
