import Synchronization

extension SubwordTokenizer {
    public func encode(_ text: String) -> [Int32] { encode(text, isContinuation: false) }

    public func encode(_ text: String, isContinuation: Bool) -> [Int32] {
        var text = text
        return text.withUTF8 { encode(validUTF8: $0, isContinuation: isContinuation) }
    }

    /// The ids of a text given as its UTF-8, which must be valid.
    package func encode(validUTF8 bytes: UnsafeBufferPointer<UInt8>, isContinuation: Bool = false) -> [Int32] {
        guard let text = bytes.baseAddress, bytes.count > 0 else { return [] }
        let workspace = workspaces.withLock { $0.popLast() } ?? EncodingWorkspace()
        let start = isContinuation ? TextPlace.continuation : .start
        forEachPiece(matcher, text, 0..<bytes.count, start, to: workspace) { range, place in
            appendUnnormalized(
                text, range, startsAnew && place == .inside ? .start : place,
                isEnd: startsAnew || range.upperBound == bytes.count, to: workspace)
        }
        let ids = workspace.takeIDs()
        workspaces.withLock { if $0.count < Self.keptWorkspaces { $0.append(workspace) } }
        return ids
    }

    /// Appends the added tokens in `text[range]`, and calls `body` with what lies between.
    private func forEachPiece(
        _ matcher: AddedTokenMatcher?, _ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ place: TextPlace,
        to workspace: EncodingWorkspace, _ body: (Range<Int>, TextPlace) -> Void
    ) {
        guard let matcher else { return body(range, place) }
        for piece in matcher.pieces(text, range) {
            if let id = piece.id {
                workspace.append(id)
            } else {
                body(piece.range, piece.range.lowerBound == range.lowerBound ? place : .inside)
            }
        }
    }

    private func appendUnnormalized(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ place: TextPlace, isEnd: Bool,
        to workspace: EncodingWorkspace
    ) {
        if pipeline.normalizers.isEmpty {
            return forEachPiece(normalizedMatcher, text, range, place, to: workspace) { range, place in
                appendText(text, range, place, to: workspace)
            }
        }
        var place = place
        let piece = UnsafeBufferPointer(start: text + range.lowerBound, count: range.count)
        let normalized = pipeline.normalized(piece, &place, isEnd: isEnd)
        normalized.withUnsafeBufferPointer { normalized in
            guard let start = normalized.baseAddress, normalized.count > 0 else { return }
            forEachPiece(normalizedMatcher, start, 0..<normalized.count, place, to: workspace) { range, place in
                appendText(start, range, place, to: workspace)
            }
        }
    }

    private func appendText(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ place: TextPlace, to workspace: EncodingWorkspace
    ) {
        switch merger {
        case .bytes: appendBytes(text, range, place, to: workspace)
        case .characters(let merger, let splits): append(text, range, place, merger, splitsAtSpaces: splits, workspace)
        case .pieces(let merger):
            append(text, range, place, merger, splitsAtSpaces: merger.splitsAtSpaces, workspace)
        case .unigram(let model): append(text, range, place, model, splitsAtSpaces: false, workspace)
        }
    }

    private func append(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ place: TextPlace, _ merger: some WordMerging,
        splitsAtSpaces: Bool, _ workspace: EncodingWorkspace
    ) {
        pipeline.split(text, range, place) { text, range in
            if splitsAtSpaces {
                CharacterMerger.split(text, range) { workspace.appendWord(text + $0.lowerBound, $0.count, merger) }
            } else {
                workspace.appendWord(text + range.lowerBound, range.count, merger)
            }
        }
    }

    private func appendBytes(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ place: TextPlace, to workspace: EncodingWorkspace
    ) {
        byteIDs.withUnsafeBufferPointer { byteIDs in
            guard let base = byteIDs.baseAddress else { return }
            let merger = WordMerger(merges: merges, byteIDs: base, wholeWords: wholeWords)
            if !pipeline.steps.isEmpty {
                pipeline.split(text, range, place) { text, range in
                    workspace.appendWord(text + range.lowerBound, range.count, merger)
                }
            } else if addsPrefixSpace, place != .continuation, text[range.lowerBound] != UInt8(ascii: " ") {
                let prefixed =
                    [UInt8(ascii: " ")] + UnsafeBufferPointer(start: text + range.lowerBound, count: range.count)
                prefixed.withUnsafeBufferPointer { prefixed in
                    guard let start = prefixed.baseAddress else { return }
                    appendPrepared(start, 0..<prefixed.count, merger, to: workspace)
                }
            } else {
                appendPrepared(text, range, merger, to: workspace)
            }
        }
    }

    private func appendPrepared(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ merger: WordMerger, to workspace: EncodingWorkspace
    ) {
        if splitsWords {
            workspace.appendWords(text, range, merger)
        } else {
            workspace.appendWord(text + range.lowerBound, range.count, merger)
        }
    }

    public func decode(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool) -> [UInt8] {
        decode(ids, skippingSpecialTokens: skippingSpecialTokens, isContinuation: false)
    }

    public func decode(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool, isContinuation: Bool) -> [UInt8] {
        decoded.bytes(of: ids, skippingSpecialTokens: skippingSpecialTokens, isContinuation: isContinuation)
    }
}
