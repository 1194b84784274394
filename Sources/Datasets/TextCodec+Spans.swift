import Tokenizers

extension TextCodec {
    /// The ids of a text that says itself how it begins, as a rendered conversation does, and the tokens that hold any byte
    /// of the given spans.
    ///
    /// The ids are those of the whole text. Only where what they decode to can't be laid against the text, because the
    /// tokenizer changes it, the pieces between the spans' ends are encoded each by itself.
    ///
    /// - Parameter spans: Bytes of the text, in order.
    /// - Returns: The spans as tokens, those that meet joined.
    public func ids(of text: String, marking spans: [Range<Int>]) -> (ids: [Int32], spans: [Range<Int>]) {
        let bytes = Array(text.utf8)
        let ids = ids(of: text, isContinuation: false)
        if let ends = ends(of: ids, in: bytes) {
            return (ids, spans.compactMap { tokens(of: $0, endingAt: ends) }.joinedWhereTheyMeet)
        }
        return pieceByPiece(bytes, spans)
    }

    /// Where each token ends among the bytes of a text; nil where they don't spell it.
    private func ends(of ids: [Int32], in text: [UInt8]) -> [Int]? {
        var ends: [Int] = []
        ends.reserveCapacity(ids.count)
        var place = 0
        for id in ids {
            let spelling = tokenizer.decode(CollectionOfOne(id), skippingSpecialTokens: false, isContinuation: true)
            if text[place...].starts(with: spelling) {
                place += spelling.count
            } else if spelling.first == UInt8(ascii: " "), text[place...].starts(with: spelling.dropFirst()) {
                // Some tokenizers put a space in front of a text, and behind special tokens.
                place += spelling.count - 1
            } else {
                return nil
            }
            ends.append(place)
        }
        return place == text.count ? ends : nil
    }

    /// The tokens that hold bytes of `span`; nil for none.
    private func tokens(of span: Range<Int>, endingAt ends: [Int]) -> Range<Int>? {
        if span.isEmpty { return nil }
        let first = ends.partitioningIndex { $0 > span.lowerBound }
        let last = ends.partitioningIndex { $0 >= span.upperBound }
        return first <= last && last < ends.count ? first..<last + 1 : nil
    }

    private func pieceByPiece(_ text: [UInt8], _ spans: [Range<Int>]) -> (ids: [Int32], spans: [Range<Int>]) {
        var ids: [Int32] = []
        var marked: [Range<Int>] = []
        var place = 0
        func add(to end: Int) {
            let piece = String(decoding: text[place..<end], as: UTF8.self)
            ids += self.ids(of: piece, isContinuation: place > 0)
            place = end
        }
        for span in spans where span.lowerBound >= place {
            add(to: span.lowerBound)
            let first = ids.count
            add(to: span.upperBound)
            if ids.count > first { marked.append(first..<ids.count) }
        }
        add(to: text.count)
        return (ids, marked.joinedWhereTheyMeet)
    }
}

extension RandomAccessCollection where Index == Int {
    /// The first index from which on `belongs` holds, in a collection that it splits in two.
    fileprivate func partitioningIndex(_ belongs: (Element) -> Bool) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = (low + high) / 2
            if belongs(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

extension [Range<Int>] {
    /// The ranges, in order, as ones that neither meet nor overlap.
    fileprivate var joinedWhereTheyMeet: [Range<Int>] {
        reduce(into: []) { joined, range in
            if let last = joined.last, range.lowerBound <= last.upperBound {
                joined[joined.count - 1] = last.lowerBound..<Swift.max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
    }
}
