/// Examples in one array of tokens.
struct ExampleCache {
    private var tokens: [Int32] = []
    /// Where the example of each record starts in `tokens`, or -1 where it isn't here.
    private var starts: [Int]
    private var lengths: [Int32]
    private var targets: [Example.Target]
    let capacity: Int

    init(count: Int, capacity: Int) {
        starts = Array(repeating: -1, count: count)
        lengths = Array(repeating: 0, count: count)
        targets = Array(repeating: .tokens(from: 0), count: count)
        self.capacity = capacity
    }

    subscript(index: Int) -> Example? {
        guard starts[index] >= 0 else { return nil }
        let end = starts[index] + Int(lengths[index])
        return Example(tokens: Array(tokens[starts[index]..<end]), target: targets[index])
    }

    /// Keeps `example` where there is room.
    mutating func insert(_ example: Example, at index: Int) {
        guard starts[index] < 0, tokens.count + example.tokens.count <= capacity else { return }
        starts[index] = tokens.count
        lengths[index] = Int32(example.tokens.count)
        targets[index] = example.target
        tokens.append(contentsOf: example.tokens)
    }
}
