/// Finds bytes within bytes, in time that grows with the sum of their lengths.
struct ByteSearch {
    private let wanted: [UInt8]
    /// For each byte of a long `wanted` how many bytes before and with it are also its beginning.
    private let overlaps: [Int]

    /// - Parameter wanted: At least one byte.
    init(_ wanted: [UInt8]) {
        self.wanted = wanted
        var overlaps: [Int] = []
        // Short ones are compared at every place.
        if wanted.count > 16 {
            overlaps = [0]
            var length = 0
            for byte in wanted.dropFirst() {
                while length > 0, wanted[length] != byte { length = overlaps[length - 1] }
                if wanted[length] == byte { length += 1 }
                overlaps.append(length)
            }
        }
        self.overlaps = overlaps
    }

    /// The first place at or behind `start`; nil where there is none.
    func first(in text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
        if start > text.count - wanted.count { return nil }
        return overlaps.isEmpty ? compared(text, start) : skipping(text, start)
    }

    private func compared(_ text: UnsafeBufferPointer<UInt8>, _ start: Int) -> Int? {
        let head = wanted[0]
        for place in start...(text.count - wanted.count) where text[place] == head {
            if wanted.indices.allSatisfy({ text[place + $0] == wanted[$0] }) { return place }
        }
        return nil
    }

    private func skipping(_ text: UnsafeBufferPointer<UInt8>, _ start: Int) -> Int? {
        var length = 0
        for place in start..<text.count {
            while length > 0, wanted[length] != text[place] { length = overlaps[length - 1] }
            if wanted[length] == text[place] { length += 1 }
            if length == wanted.count { return place + 1 - length }
        }
        return nil
    }
}
