/// What one thread needs to encode: the ids so far, and a cache of words with their ids.
///
/// The cache has a fixed size: pairs of places by hash, the newer word first, the older leaving when a third comes.
final class EncodingWorkspace: @unchecked Sendable {
    /// A word of at most 16 bytes with at most three ids, in half a cache line.
    private struct Entry {
        var low: UInt64
        var high: UInt64
        /// The word's length, how many ids it has, the first of them in the upper half; 0 is free.
        var head: UInt64
        var others: UInt64
    }

    private static let entryCount = 1 << 15
    private static let longestWord = 16
    private static let mostIDs = 3
    /// The memory for ids that is kept for the next text.
    private static let keptCapacity = 1 << 18

    private let cache: UnsafeMutablePointer<Entry>
    private var ids: UnsafeMutablePointer<Int32>
    private var capacity = 1 << 10
    private var count = 0

    init() {
        cache = .allocate(capacity: Self.entryCount)
        cache.initialize(repeating: Entry(low: 0, high: 0, head: 0, others: 0), count: Self.entryCount)
        ids = .allocate(capacity: capacity)
    }

    deinit {
        cache.deallocate()
        ids.deallocate()
    }

    /// The ids since the last call.
    func takeIDs() -> [Int32] {
        let result = [Int32](UnsafeBufferPointer(start: ids, count: count))
        count = 0
        if capacity > Self.keptCapacity {
            ids.deallocate()
            capacity = 1 << 10
            ids = .allocate(capacity: capacity)
        }
        return result
    }

    func append(_ id: Int32) {
        reserve(1)
        ids[count] = id
        count += 1
    }

    @inline(__always)
    private func reserve(_ additional: Int) {
        if capacity - count < additional { grow(additional) }
    }

    private func grow(_ additional: Int) {
        capacity = max(capacity * 2, count + additional)
        let larger = UnsafeMutablePointer<Int32>.allocate(capacity: capacity)
        larger.update(from: ids, count: count)
        ids.deallocate()
        ids = larger
    }

    /// Appends the ids of `text[range]`, split into words by GPT-2's pattern.
    func appendWords(_ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ merger: WordMerger) {
        let splitter = WordSplitter(text: text, end: range.upperBound)
        var start = range.lowerBound
        while start < range.upperBound {
            let end = splitter.endOfWord(from: start)
            appendWord(text + start, end - start) { merger.merge($0, $1, into: $2) }
            start = end
        }
    }

    /// Appends the ids of one word, from the cache where it is there.
    func appendWord(_ word: UnsafePointer<UInt8>, _ length: Int, _ merger: some WordMerging) {
        appendWord(word, length) { merger.merge($0, $1, into: $2) }
    }

    /// The same with a closure, because a generic function isn't inlined into the loop over GPT-2's words, where the call
    /// shows.
    @inline(__always)
    private func appendWord(
        _ word: UnsafePointer<UInt8>, _ length: Int,
        _ merge: (UnsafePointer<UInt8>, Int, UnsafeMutablePointer<Int32>) -> Int
    ) {
        reserve(length + Self.mostIDs)
        if length > Self.longestWord {
            count += merge(word, length, ids + count)
            return
        }
        let (low, high) = ByteHash.words(word, length)
        let hash = ByteHash.mix(low, high, length)
        let place = Int(truncatingIfNeeded: hash) & (Self.entryCount - 2)
        let first = cache[place]
        if first.low == low, first.high == high, first.head & 0xFF == UInt64(length) { return emit(first) }
        let second = cache[place + 1]
        if second.low == low, second.high == high, second.head & 0xFF == UInt64(length) { return emit(second) }
        let output = ids + count
        let idCount = merge(word, length, output)
        count += idCount
        if idCount > Self.mostIDs { return }
        cache[place + 1] = first
        cache[place] = Entry(
            low: low, high: high,
            head: UInt64(length) | UInt64(idCount) << 8 | UInt64(UInt32(bitPattern: idCount > 0 ? output[0] : 0)) << 32,
            others: UInt64(UInt32(bitPattern: idCount > 1 ? output[1] : 0))
                | UInt64(UInt32(bitPattern: idCount > 2 ? output[2] : 0)) << 32)
    }

    /// Writes all three ids, of which the count says how many are meant: there is room, and no branch.
    @inline(__always)
    private func emit(_ entry: Entry) {
        let output = ids + count
        output[0] = Int32(truncatingIfNeeded: entry.head >> 32)
        output[1] = Int32(truncatingIfNeeded: entry.others)
        output[2] = Int32(truncatingIfNeeded: entry.others >> 32)
        count += Int(entry.head >> 8 & 0xFF)
    }
}
