package import Batches

/// Examples in one array of tokens and one of targets.
package struct ExampleCache {
    private var tokens: [Int32] = []
    private var targets: [Range<Int32>] = []
    private var places: [Place?]
    private let capacity: Int

    /// Where an example lies.
    private struct Place {
        let tokens: Range<Int>
        /// How many of them an encoder reads, in front; nil where there is none.
        let sourceCount: Int?
        /// In `targets`; empty where the whole has a label.
        let targets: Range<Int32>
        let label: Example.Label?
    }

    package init(count: Int, capacity: Int) {
        places = Array(repeating: nil, count: count)
        self.capacity = capacity
    }

    package subscript(index: Int) -> Example? {
        guard let place = places[index] else { return nil }
        let source = place.sourceCount.map { Array(tokens[place.tokens].prefix($0)) }
        let own = Array(tokens[place.tokens].dropFirst(place.sourceCount ?? 0))
        if let label = place.label { return Example(tokens: own, label: label) }
        let spans = targets[Int(place.targets.lowerBound)..<Int(place.targets.upperBound)]
        return Example(source: source, tokens: own, targets: spans.map { Int($0.lowerBound)..<Int($0.upperBound) })
    }

    /// Keeps `example` where there is room.
    package mutating func insert(_ example: Example, at index: Int) {
        guard places[index] == nil, tokens.count + example.tokenCount <= capacity else { return }
        let start = (tokens: tokens.count, targets: Int32(targets.count))
        if let source = example.source { tokens.append(contentsOf: source) }
        tokens.append(contentsOf: example.tokens)
        targets.append(contentsOf: example.targets.map { Int32($0.lowerBound)..<Int32($0.upperBound) })
        places[index] = Place(
            tokens: start.tokens..<tokens.count, sourceCount: example.source?.count,
            targets: start.targets..<Int32(targets.count), label: example.label)
    }
}
