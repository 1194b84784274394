import Diagnostics
import Files
import JSONText
import Tensors

/// Writes safetensors files as the reference implementation does, byte for byte: the tensors by type, widest first, then
/// by name; a header without spaces, padded to a multiple of 8 bytes.
public enum SafetensorsWriter {
    /// What transformers and peft write as `__metadata__`, and ask for when they read.
    public static let standardMetadata = ["format": "pt"]

    /// Elements that are converted and written at a time.
    private static let chunk = 1 << 20

    /// Writes `tensors`, whose names differ, one after the other, so that no more than one is in memory.
    ///
    /// The file appears at `path` when it is complete. Throws a `Problem` where it can't be written, where a value is
    /// too large for the type to be written, and whatever computing a tensor throws.
    public static func write(
        _ tensors: [OutgoingTensor], metadata: [String: String] = standardMetadata, to path: String
    ) throws {
        let file = try AtomicFile(path: path)
        try write(tensors, metadata: metadata, path: path) { try file.write($0) }
        try file.commit()
    }

    /// The content of the file that `write` would write.
    public static func bytes(
        _ tensors: [OutgoingTensor], metadata: [String: String] = standardMetadata
    ) throws -> [UInt8] {
        var result: [UInt8] = []
        try write(tensors, metadata: metadata, path: nil) { result.append(contentsOf: $0) }
        return result
    }

    private static func write(
        _ tensors: [OutgoingTensor], metadata: [String: String], path: String?,
        sink: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let ordered = tensors.sorted { a, b in
            a.elementType == b.elementType
                ? a.name.utf8.lexicographicallyPrecedes(b.name.utf8) : a.elementType.rank > b.elementType.rank
        }
        try header(ordered, metadata).withUnsafeBytes(sink)
        for tensor in ordered {
            switch tensor.content {
            case .stored(let stored): try withExtendedLifetime(stored.owner) { try sink(stored.bytes) }
            case .bytes(let encode):
                let bytes = encode()
                require(
                    bytes.count == tensor.byteCount,
                    "SafetensorsWriter: \(tensor.name) of \(tensor.byteCount) bytes has \(bytes.count)")
                try bytes.withUnsafeBytes(sink)
            case .floats(let compute):
                let floats = try compute()
                require(
                    floats.shape == tensor.shape,
                    "SafetensorsWriter: \(tensor.name) announced as \(tensor.shape) is \(floats.shape)")
                try withExtendedLifetime(floats) { try write(floats, of: tensor, path: path, sink: sink) }
            }
        }
    }

    private static func header(_ tensors: [OutgoingTensor], _ metadata: [String: String]) -> [UInt8] {
        var members: [JSONValue.Member] = []
        if !metadata.isEmpty {
            let texts = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            members.append(.init("__metadata__", .object(texts.map { .init($0.key, .string($0.value)) })))
        }
        var names: Set<String> = ["__metadata__"]
        var offset = 0
        for tensor in tensors {
            require(names.insert(tensor.name).inserted, "SafetensorsWriter: a second tensor named \(tensor.name)")
            let end = offset + tensor.byteCount
            members.append(
                .init(
                    tensor.name,
                    [
                        "dtype": .string(tensor.elementType.rawValue),
                        "shape": .array(tensor.shape.map { .integer($0) }),
                        "data_offsets": [.integer(offset), .integer(end)],
                    ]))
            offset = end
        }
        var text = JSONValue.object(members).bytes(.tight)
        while text.count % 8 != 0 { text.append(UInt8(ascii: " ")) }
        return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
    }

    private static func write(
        _ floats: Tensor, of tensor: OutgoingTensor, path: String?, sink: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        if tensor.elementType == .float32 {
            return try sink(UnsafeRawBufferPointer(start: floats.data, count: floats.count * 4))
        }
        let buffer = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: min(chunk, max(1, floats.count)))
        defer { buffer.deallocate() }
        guard let target = buffer.baseAddress else { return }
        let convert = tensor.elementType == .float16 ? convertToFloat16 : convertToBFloat16
        for start in stride(from: 0, to: floats.count, by: chunk) {
            let count = min(chunk, floats.count - start)
            if let value = convert(floats.data + start, target, count) {
                throw Problem(
                    "the value \(value) is too large for \(tensor.elementType): write F32 instead", file: path,
                    key: tensor.name)
            }
            try sink(UnsafeRawBufferPointer(start: target, count: count * 2))
        }
    }
}
