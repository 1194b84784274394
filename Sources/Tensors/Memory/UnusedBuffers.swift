/// Memory that waits to be used again: buffers by their size, of which a large one is cut where a smaller one is wanted,
/// and made whole again once all its parts wait.
struct UnusedBuffers {
    private(set) var bytes = 0
    /// Addresses by size, the last one released last; it is taken first, being warm in cache.
    private var wholes: [Int: [UInt]] = [:]
    /// Parts of buffers that are cut. Wholes are taken before them, so that what is cut can become whole again.
    private var parts: [Int: [UInt]] = [:]
    private var cuts: [UInt: Cut] = [:]
    /// The buffer that each part belongs to, by addresses.
    private var owners: [UInt: UInt] = [:]

    private struct Cut {
        var size: Int
        /// The sizes of its parts by their addresses, and how many are in use.
        var parts: [UInt: Int]
        var usedParts: Int
    }

    /// A buffer of exactly this size, whole, cut with all its parts unused, or else a part of another one.
    mutating func take(_ size: Int) -> UInt? {
        if wholes[size]?.isEmpty != false,
            let found = cuts.first(where: { $0.value.size == size && $0.value.usedParts == 0 })?.key
        {
            reassemble(found)
        }
        guard let address = wholes[size]?.popLast() else { return takeExistingPart(size) }
        bytes -= size
        return address
    }

    /// A part of exactly this size, of the smallest buffer that has one, so that large ones become whole again.
    private mutating func takeExistingPart(_ size: Int) -> UInt? {
        func wholeSize(_ part: UInt) -> Int { owners[part].flatMap { cuts[$0]?.size } ?? 0 }
        guard let candidates = parts[size],
            let index = candidates.indices.min(by: { wholeSize(candidates[$0]) < wholeSize(candidates[$1]) })
        else { return nil }
        let address = candidates[index]
        parts[size]?.remove(at: index)
        bytes -= size
        if let owner = owners[address] { cuts[owner]?.usedParts += 1 }
        return address
    }

    mutating func add(_ address: UInt, _ size: Int) {
        bytes += size
        if let owner = owners[address] {
            cuts[owner]?.usedParts -= 1
            parts[size, default: []].append(address)
        } else {
            wholes[size, default: []].append(address)
        }
    }

    /// A part of this size of the smallest buffer that leaves at least `least` bytes.
    mutating func takePart(_ size: Int, leaving least: Int) -> UInt? {
        func smallest() -> Int? {
            [wholes, parts].flatMap { lists in lists.keys.filter { lists[$0]?.isEmpty == false } }
                .filter { $0 - size >= least }.min()
        }
        var found = smallest()
        if found == nil {
            for (address, cut) in cuts where cut.usedParts == 0 { reassemble(address) }
            found = smallest()
        }
        guard let found, let address = take(found) else { return nil }
        let owner = owners[address] ?? address
        var cut = cuts[owner] ?? Cut(size: found, parts: [:], usedParts: 1)
        let rest = address + UInt(size)
        cut.parts[address] = size
        cut.parts[rest] = found - size
        cuts[owner] = cut
        owners[address] = owner
        owners[rest] = owner
        parts[found - size, default: []].append(rest)
        bytes += found - size
        return address
    }

    /// A buffer to be given back for good: the smallest of at least `size` bytes or else the largest, be it whole or a part;
    /// nil where there is none.
    mutating func remove(_ size: Int) -> (address: UInt, size: Int)? {
        func fitting(_ lists: [Int: [UInt]]) -> Int? {
            let sizes = lists.keys.filter { lists[$0]?.isEmpty == false }
            return sizes.filter { $0 >= size }.min() ?? sizes.max()
        }
        if let part = fitting(parts), let owner = parts[part]?.last.flatMap({ owners[$0] }) {
            let whole = fitting(wholes) ?? 0
            if min(part, whole) >= size ? part < whole : part > whole { dissolve(owner) }
        }
        guard let fit = fitting(wholes), let address = wholes[fit]?.popLast() else { return nil }
        bytes -= fit
        return (address, fit)
    }

    private mutating func reassemble(_ address: UInt) {
        guard let cut = cuts.removeValue(forKey: address) else { return }
        remove(cut)
        wholes[cut.size, default: []].append(address)
    }

    /// Makes the parts of a buffer buffers of their own.
    private mutating func dissolve(_ address: UInt) {
        guard let cut = cuts.removeValue(forKey: address) else { return }
        for (part, size) in remove(cut) { wholes[size, default: []].append(part) }
    }

    /// Forgets the parts of a buffer.
    ///
    /// - Returns: Those that are unused.
    @discardableResult
    private mutating func remove(_ cut: Cut) -> [(address: UInt, size: Int)] {
        cut.parts.compactMap { part, size in
            owners[part] = nil
            guard let index = parts[size]?.firstIndex(of: part) else { return nil }
            parts[size]?.remove(at: index)
            return (part, size)
        }
    }
}
