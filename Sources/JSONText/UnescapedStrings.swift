/// Memory for the strings of one text that held escapes; it lives as long as the last copy of the reader.
final class UnescapedStrings {
    private var blocks: [UnsafeMutableRawPointer] = []
    private var free: UnsafeMutableRawPointer?
    private var room = 0

    deinit { for block in blocks { block.deallocate() } }

    /// Room for `size` bytes, to be claimed by `commit`.
    func reserve(_ size: Int) -> UnsafeMutableRawPointer {
        if let free, size <= room { return free }
        let capacity = max(size, blocks.isEmpty ? 1 << 10 : 1 << 18)
        let block = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 1)
        blocks.append(block)
        free = block
        room = capacity
        return block
    }

    func commit(_ size: Int) {
        free = free.map { $0 + size }
        room -= size
    }
}

extension UnsafeRawBufferPointer {
    /// Whether these are the bytes of `text`.
    public func matches(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index] != text.utf8Start[index] { return false }
        return true
    }
}
