/// Finds the pieces with which a text begins: a trie whose nodes lie level by level, so that a node's children are
/// neighbours.
struct PieceTrie: Sendable {
    /// Of each node: the byte that leads to it, the id of the piece that ends there or -1, and its first child.
    private let bytes: [UInt8]
    private let ids: [Int32]
    private let children: [UInt32]
    /// The children of the root by their byte.
    private let first: [UInt32]

    /// The length of the longest piece.
    let depth: Int

    /// Of equal pieces the last counts.
    init(_ pieces: [(bytes: [UInt8], id: Int32)]) {
        let sorted = pieces.enumerated().sorted { left, right in
            left.element.bytes == right.element.bytes
                ? left.offset < right.offset : left.element.bytes.lexicographicallyPrecedes(right.element.bytes)
        }.map(\.element)
        var bytes: [UInt8] = [0]
        var ids: [Int32] = [-1]
        var children: [UInt32] = []
        // The pieces that go through each node of a level.
        var level = [0..<sorted.count]
        var depth = 0
        while !level.isEmpty {
            var next: [Range<Int>] = []
            for range in level {
                var index = range.lowerBound
                let node = children.count
                while index < range.upperBound, sorted[index].bytes.count == depth {
                    if depth > 0 { ids[node] = sorted[index].id }
                    index += 1
                }
                children.append(UInt32(bytes.count))
                while index < range.upperBound {
                    let byte = sorted[index].bytes[depth]
                    let start = index
                    while index < range.upperBound, sorted[index].bytes[depth] == byte { index += 1 }
                    bytes.append(byte)
                    ids.append(-1)
                    next.append(start..<index)
                }
            }
            level = next
            depth += 1
        }
        children.append(UInt32(bytes.count))
        var first = [UInt32](repeating: 0, count: 256)
        for child in children[0]..<children[1] { first[Int(bytes[Int(child)])] = child }
        self.depth = max(depth - 1, 0)
        (self.bytes, self.ids, self.children, self.first) = (bytes, ids, children, first)
    }

    /// Calls `body` with the ends of the pieces that begin at `start` in `text[start..<end]`, and their ids, short ones first.
    @inline(__always)
    func forEach(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ body: (_ end: Int, _ id: Int32) -> Void) {
        if start == end { return }
        var node = Int(first[Int(text[start])])
        var index = start + 1
        while node > 0 {
            let id = ids[node]
            if id >= 0 { body(index, id) }
            if index == end { return }
            node = child(node, text[index])
            index += 1
        }
    }

    /// The longest piece that begins at `start`.
    func longest(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> (end: Int, id: Int32)? {
        var found: (end: Int, id: Int32)?
        forEach(text, start, end) { found = ($0, $1) }
        return found
    }

    @inline(__always)
    private func child(_ node: Int, _ byte: UInt8) -> Int {
        var low = Int(children[node])
        var high = Int(children[node + 1])
        while high - low > 8 {
            let middle = (low + high) >> 1
            if bytes[middle] <= byte { low = middle } else { high = middle }
        }
        while low < high {
            if bytes[low] == byte { return low }
            low += 1
        }
        return 0
    }
}
