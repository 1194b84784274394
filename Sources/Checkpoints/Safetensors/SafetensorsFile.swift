public import Diagnostics
import Files
import JSONText
public import Tensors

/// A safetensors file, opened for reading: mapped into memory, so that only what is used is read from the disk.
///
/// The whole header is checked on opening: each tensor's bytes lie in the file, and match its shape and type. The file
/// must not shrink while it is open; reading a page that is gone ends the process.
public final class SafetensorsFile: Sendable {
    /// The path as the user wrote it.
    public let path: String
    /// In the order of their bytes.
    public let tensors: [TensorEntry]
    /// The texts under `__metadata__`.
    public let metadata: [String: String]
    /// The size of the file in bytes.
    public let byteCount: Int

    private let content: any ByteSource
    private let indexes: [String: Int]

    /// Opens the file at `path`; warns of tensors that can't be used where they are mapped.
    ///
    /// Throws a `Problem` that names the file and, where one is concerned, the tensor.
    public convenience init(path: String, warn: WarningSink) throws {
        try self.init(FileBytes(path: path), path: path, warn: warn)
    }

    /// Reads a file's content from memory, which is copied.
    public convenience init(bytes: some Collection<UInt8>, path: String, warn: WarningSink) throws {
        try self.init(CopiedBytes(bytes), path: path, warn: warn)
    }

    private init(_ content: any ByteSource, path: String, warn: WarningSink) throws {
        let header = try SafetensorsHeader(content.bytes, file: path)
        self.path = path
        self.content = content
        byteCount = content.bytes.count
        tensors = header.tensors
        metadata = header.metadata
        indexes = Dictionary(uniqueKeysWithValues: header.tensors.enumerated().map { ($1.name, $0) })
        let misaligned = tensors.filter { $0.elementType == .float32 && $0.count > 0 && !isAligned($0) }
        if let first = misaligned.first {
            let others = misaligned.count > 1 ? " and \(misaligned.count - 1) more" : ""
            warn(
                Problem(
                    "doesn't start at a multiple of 4 bytes\(others): copied into memory instead of mapped",
                    file: path, key: first.name, severity: .warning))
        }
    }

    /// What the file says of the tensor `name`; nil where there is none.
    public func entry(named name: String) -> TensorEntry? { indexes[name].map { tensors[$0] } }

    /// The tensor `name` as it is stored. Throws a `Problem` where there is none.
    public func raw(named name: String) throws -> RawTensor {
        guard let entry = entry(named: name) else { throw Problem("no such tensor", file: path, key: name) }
        return raw(entry)
    }

    func raw(_ entry: TensorEntry) -> RawTensor {
        RawTensor(
            name: entry.name, elementType: entry.elementType, shape: entry.shape, count: entry.count, file: path,
            bytes: UnsafeRawBufferPointer(rebasing: content.bytes[entry.byteRange]), owner: content)
    }

    /// The tensor `name`: the mapped memory itself for F32, converted for the other floating-point types.
    ///
    /// Throws a `Problem` where there is none, or where it isn't of a floating-point type.
    public func tensor(named name: String) throws -> Tensor { try raw(named: name).tensor() }

    private func isAligned(_ entry: TensorEntry) -> Bool {
        (Int(bitPattern: content.bytes.baseAddress) + entry.byteRange.lowerBound) % MemoryLayout<Float>.alignment == 0
    }
}

/// Something that keeps bytes alive.
protocol ByteSource: AnyObject, Sendable {
    var bytes: UnsafeRawBufferPointer { get }
}

extension FileBytes: ByteSource {}

private final class CopiedBytes: ByteSource {
    nonisolated(unsafe) let bytes: UnsafeRawBufferPointer

    init(_ content: some Collection<UInt8>) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 16)
        copy.copyBytes(from: content)
        bytes = UnsafeRawBufferPointer(copy)
    }

    deinit { bytes.deallocate() }
}
