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
        let own = Array(tokens[place.tokens])
        if let label = place.label { return Example(tokens: own, label: label) }
        let spans = targets[Int(place.targets.lowerBound)..<Int(place.targets.upperBound)]
        return Example(tokens: own, targets: spans.map { Int($0.lowerBound)..<Int($0.upperBound) })
    }

    /// Keeps `example` where there is room.
    package mutating func insert(_ example: Example, at index: Int) {
        guard places[index] == nil, tokens.count + example.tokens.count <= capacity else { return }
        let start = (tokens: tokens.count, targets: Int32(targets.count))
        tokens.append(contentsOf: example.tokens)
        targets.append(contentsOf: example.targets.map { Int32($0.lowerBound)..<Int32($0.upperBound) })
        places[index] = Place(
            tokens: start.tokens..<tokens.count, targets: start.targets..<Int32(targets.count), label: example.label)
    }
}
