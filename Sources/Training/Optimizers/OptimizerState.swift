import Checkpoints
import Diagnostics
import Files
public import Tensors

/// What an optimizer remembers from step to step: arrays of floats or bytes by name, known by their shapes before they
/// take memory.
public final class OptimizerState {
    /// An array and what it holds.
    public struct Entry: Sendable, Hashable {
        public enum Elements: Sendable { case floats, bytes }

        public let name: String
        public let shape: [Int]
        public let elements: Elements

        init(_ name: String, _ shape: [Int], _ elements: Elements = .floats) {
            (self.name, self.shape, self.elements) = (name, shape, elements)
        }

        var byteCount: Int { shape.reduce(1, *) * (elements == .floats ? 4 : 1) }
        /// With what keeps the next array at a cache line.
        fileprivate var room: Int { (byteCount + 63) & ~63 }
    }

    private enum Array {
        case floats(Tensor)
        case bytes(ByteTensor)
    }

    public let entries: [Entry]
    private var arrays: [Array] = []

    init(_ entries: [Entry]) { self.entries = entries }

    public var byteCount: Int { entries.reduce(0) { $0 + $1.byteCount } }

    /// Takes memory for everything, all of it 0.
    public func allocate() {
        arrays = entries.map {
            $0.elements == .floats ? .floats(Tensor(zeros: $0.shape)) : .bytes(ByteTensor(zeros: $0.shape))
        }
    }

    /// Takes memory for everything in a scratch file of a folder, all of it 0.
    ///
    /// - Throws: A `Problem` where the folder has no room for it.
    public func allocate(in scratchFolder: String) throws {
        if byteCount == 0 { return allocate() }
        let memory = try ScratchMemory(folder: scratchFolder, byteCount: entries.reduce(0) { $0 + $1.room })
        var offset = 0
        arrays = entries.map { entry in
            defer { offset += entry.room }
            let base = memory.base + offset
            return entry.elements == .bytes
                ? .bytes(ByteTensor(base, shape: entry.shape, owner: memory))
                : .floats(
                    Tensor(
                        writable: base.bindMemory(to: Float.self, capacity: entry.byteCount / 4), shape: entry.shape,
                        owner: memory))
        }
    }

    /// The array of an entry of floats.
    public func floats(_ index: Int) -> Tensor {
        if case .floats(let tensor) = array(index) { return tensor }
        defect("OptimizerState: \(entries[index].name) holds no floats")
    }

    /// The array of an entry of bytes.
    public func bytes(_ index: Int) -> ByteTensor {
        if case .bytes(let bytes) = array(index) { return bytes }
        defect("OptimizerState: \(entries[index].name) holds no bytes")
    }

    private func array(_ index: Int) -> Array {
        require(arrays.count == entries.count, "OptimizerState: used before it has memory")
        return arrays[index]
    }

    /// The arrays of floats by name.
    var floats: [(name: String, tensor: Tensor)] {
        entries.indices.filter { entries[$0].elements == .floats }.map { (entries[$0].name, floats($0)) }
    }

    /// The arrays of bytes by name.
    var bytes: [(name: String, bytes: ByteTensor)] {
        entries.indices.filter { entries[$0].elements == .bytes }.map { (entries[$0].name, bytes($0)) }
    }

    /// Everything, as a checkpoint holds it.
    var outgoing: [OutgoingTensor] {
        floats.map { OutgoingTensor($0.name, $0.tensor, as: .float32) }
            + bytes.map { OutgoingTensor($0.name, $0.bytes) }
    }
}
